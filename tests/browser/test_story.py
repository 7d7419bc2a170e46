"""The main job on real parts: access is given, used, seen and taken away, by people who click.

The demo runs as it runs for everybody; AWS is its sandbox, which enforces policies and is asked by boto3 directly.
"""

from __future__ import annotations

import configparser
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.exceptions import ClientError
from playwright.sync_api import FilePayload, expect

from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, PORTAL_ACCOUNT, TOKENS_PROFILE, foreign_statement
from roles.policies.document import parse
from roles.policies.equivalence import same_statement
from tests.browser.people import Person
from tests.demo import Demo
from tests.sandbox.searching import hits, in_folder

pytestmark = [pytest.mark.browser, pytest.mark.sandbox]

ROLE_A = f"arn:aws:iam::{PORTAL_ACCOUNT}:role/MyRoleA"
ROLE_B = f"arn:aws:iam::{BUCKET_ACCOUNT}:role/MyRoleB"
BUCKET_ARN = f"arn:aws:s3:::{BUCKET}"
OTHER_BUCKET = "other-data"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@dataclass
class Story:
    """Who is in it, and what is known by now."""

    demo: Demo
    alice: Person
    audrey: Person
    bob: Person
    carol: Person
    mapping: str = ""  # the address of the mapping's page in the admin
    folder: str = ""  # the address of the bucket's page

    @property
    def mapping_id(self) -> str:
        found = re.search(r"/grouprole/(\d+)/", self.mapping)
        assert found
        return found[1]


def test_access_is_given_used_seen_and_taken_away(
    demo: Demo, alice: Person, audrey: Person, bob: Person, carol: Person
) -> None:
    story = Story(demo, alice, audrey, bob, carol)
    nobody_gets_in_before_the_mapping(story)
    alice_maps_the_role_and_watches_the_seven_steps(story)
    somebody_elses_statement_is_still_there(story)
    before = bob_gets_credentials_that_open_the_bucket_and_nothing_else(story)
    bob_browses_uploads_downloads_and_deletes(story)
    carol_gets_nothing(story)
    bob_signs_out_and_nothing_is_left(story)
    audrey_sees_all_of_it_and_changes_nothing(story)
    as_role_a = credentials_of_role_a(story)
    assert allowed(assume(story, as_role_a, ROLE_B))
    alice_removes_the_mapping_from_the_people_named(story)
    bob_is_refused_a_new_token(story)
    assert denied(assume(story, as_role_a, ROLE_B))
    assert denied(listing(story, before))
    somebody_elses_statement_is_still_there(story)
    what_bob_was_given_is_nowhere_in_the_portals_files(story, before)
    assert [problem for person in (alice, audrey, bob, carol) for problem in unexpected(person)] == []


# --- before ---


def nobody_gets_in_before_the_mapping(story: Story) -> None:
    """Whatever bob might have in his own account: AWS itself says no."""
    story.demo.aws_root("s3", BUCKET_ACCOUNT).create_bucket(Bucket=OTHER_BUCKET)
    iam = story.demo.aws_root("iam", PORTAL_ACCOUNT)
    iam.create_user(UserName="bob")
    iam.put_user_policy(UserName="bob", PolicyName="everything", PolicyDocument=json.dumps(EVERYTHING))
    key = iam.create_access_key(UserName="bob")["AccessKey"]
    own = {"key_id": key["AccessKeyId"], "secret": key["SecretAccessKey"]}
    assert allowed(lambda: story.demo.aws("sts", **own).get_caller_identity())
    assert denied(assume(story, own, ROLE_A))
    assert denied(assume(story, own, ROLE_B))
    assert denied(listing(story, own))

    story.bob.sign_in()
    story.bob.sees("You have no access to any bucket yet.")
    expect(story.bob.page.get_by_role("button", name="Get credentials")).to_have_count(0)
    assert story.bob.posts("/mappings/1/credentials/").status == 404


# --- given ---


def alice_maps_the_role_and_watches_the_seven_steps(story: Story) -> None:
    alice = story.alice
    alice.sign_in()
    alice.plan_mapping("analysts", "MyRoleA", reason="Ticket OPS-12: quarterly report")
    alice.sees_title("Map deployment/MyRoleA to analysts?")
    alice.sees("Who gets access: 1 person")
    alice.sees("Plan: 7 changes in AWS")
    alice.sees("s3:PutObject")
    roles = story.demo.aws_root("iam", BUCKET_ACCOUNT).list_roles()["Roles"]
    assert ROLE_B not in [role["Arn"] for role in roles], "looking at the plan changes nothing"
    with story.demo.another_worker_writes(BUCKET_ARN):
        with story.demo.another_worker_writes(ROLE_B):
            alice.click_button("Apply this plan")
            alice.sees("deployment/MyRoleA is mapped to analysts.")
            alice.page.evaluate("window.sameDocument = true")
            alice.sees("3 of 7 steps done")
        alice.sees("5 of 7 steps done")
        story.mapping = alice.page.url
    alice.sees("7 of 7 steps done")
    assert alice.page.evaluate("window.sameDocument"), "the steps turned without loading the page again"
    alice.sees("last seen in sync")
    for number, title in enumerate(("Create role in Account A", "Create policy in Account A"), start=1):
        alice.sees(f"Step {number}: {title}")
    open_step(alice, "Create bucket policy of example-data")
    alice.sees("1 statement of others kept")


def open_step(person: Person, title: str) -> None:
    person.main.get_by_role("list", name="The steps").get_by_text(title).click()


def somebody_elses_statement_is_still_there(story: Story) -> None:
    s3 = story.demo.aws_root("s3", BUCKET_ACCOUNT)
    found = parse(s3.get_bucket_policy(Bucket=BUCKET)["Policy"]).statements
    theirs = parse({"Version": "2012-10-17", "Statement": [foreign_statement()]}).statements[0]
    assert sum(same_statement(statement, theirs) for statement in found) == 1


# --- used ---


def bob_gets_credentials_that_open_the_bucket_and_nothing_else(story: Story) -> dict[str, str]:
    bob = story.bob
    bob.click_menu("My access")
    bob.sees("Read and write in the whole bucket")
    bob.sees("MyRoleA → MyRoleB, group analysts")
    bob.click_button(f"Get credentials for {BUCKET}")
    bob.sees("Credentials of arn:aws:iam::222222222222:role/MyRoleB")
    bob.page.get_by_role("tab", name="credential_process").click()
    panel = bob.page.get_by_role("tabpanel", name="credential_process")
    expect(panel.locator("pre")).to_be_hidden()
    panel.get_by_text("Show", exact=True).click()
    printed = json.loads(panel.locator("pre").inner_text())
    given = {
        "key_id": printed["AccessKeyId"],
        "secret": printed["SecretAccessKey"],
        "token": printed["SessionToken"],
    }
    s3 = story.demo.aws("s3", **given)
    assert "README.txt" in [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert s3.get_object(Bucket=BUCKET, Key="README.txt")["Body"].read().startswith(b"Example data")
    s3.put_object(Bucket=BUCKET, Key="from-boto3.txt", Body=b"written with temporary credentials")
    assert denied(listing(story, given, OTHER_BUCKET))
    assert denied(lambda: s3.put_object(Bucket=OTHER_BUCKET, Key="no.txt", Body=b"no"))
    assert denied(lambda: s3.delete_bucket_policy(Bucket=BUCKET))
    return given


def bob_browses_uploads_downloads_and_deletes(story: Story) -> None:
    bob = story.bob
    bob.click(f"Browse {BUCKET}")
    bob.sees_title(BUCKET)
    bob.sees("from-boto3.txt")
    bob.click("Folder reports")
    bob.click("Folder 2026")
    bob.sees("q1.csv")
    story.folder = bob.page.url
    upload = FilePayload(name="q3.csv", mimeType="text/csv", buffer=b"region,revenue\nnorth,1400\n")
    bob.page.get_by_label("Upload a file into this folder").set_input_files(upload)
    bob.click_button("Upload")
    bob.sees("q3.csv was uploaded.")
    with bob.page.expect_download() as download:
        bob.click("Download q3.csv")
    assert download.value.path().read_bytes() == upload["buffer"]
    bob.click("Delete q3.csv")
    bob.sees("Everybody who uses the bucket loses it.")
    bob.click("Keep it")
    bob.sees("q3.csv")
    bob.click("Delete q3.csv")
    bob.click_button("Delete q3.csv")
    bob.sees("reports/2026/q3.csv was deleted.")
    keys = story.demo.aws_root("s3", BUCKET_ACCOUNT).list_objects_v2(Bucket=BUCKET, Prefix="reports/2026/")["Contents"]
    assert [item["Key"] for item in keys] == ["reports/2026/q1.csv", "reports/2026/q2.csv"]


# --- refused to others ---


def carol_gets_nothing(story: Story) -> None:
    carol = story.carol
    carol.sign_in()
    carol.sees("You have no access to any bucket yet.")
    carol.does_not_see(BUCKET)
    assert carol.open(story.folder).status == 404
    carol.sees("There is no such access of yours.")
    assert carol.posts(f"/mappings/{story.mapping_id}/credentials/").status == 404
    for address in ("/history/", "/admin/", story.mapping):
        assert carol.open(address).status == 403


# --- signed out ---


def tokens_in_the_cache(story: Story) -> list[str]:
    """The keys of what lies there; marks that something was told already hold nothing, and go by themselves."""
    keys = [key for (key,) in story.demo.rows("SELECT cache_key FROM xacct_cache")]
    return [key for key in keys if ":xacct-first:" not in key]


def bob_signs_out_and_nothing_is_left(story: Story) -> None:
    bob = story.bob
    held = "SELECT count(*) FROM roles_issuedtoken WHERE evicted_at IS NULL"
    assert story.demo.rows(held) == [(1,)]
    assert len(tokens_in_the_cache(story)) == 1
    bob.click_menu("My access")
    bob.click_button(f"Get credentials for {BUCKET}")
    bob.sees("Credentials of")
    bob.sign_out()
    assert story.demo.rows(held) == [(0,)]
    assert tokens_in_the_cache(story) == []
    bob.page.go_back()
    bob.is_asked_to_sign_in()
    expect(bob.page.get_by_text("Credentials of")).to_have_count(0)
    for address in (story.folder, "/my-access/"):
        bob.open(address)
        bob.is_asked_to_sign_in()
    refused = bob.posts(f"/mappings/{story.mapping_id}/credentials/")
    assert refused.status in {302, 403}
    assert "/login/" in refused.headers.get("location", "/login/")


# --- seen ---


def audrey_sees_all_of_it_and_changes_nothing(story: Story) -> None:
    audrey = story.audrey
    audrey.sign_in()
    audrey.click_menu("History")
    audrey.click("Runs and steps")
    audrey.click("Run 1 of deployment/MyRoleA")
    audrey.sees("7 of 7 steps done")
    open_step(audrey, "Create bucket policy of example-data")
    for column in ("Before", "After"):
        expect(audrey.main.get_by_role("columnheader", name=column).locator("visible=true")).to_have_count(1)
    audrey.sees("PartnerReads")
    audrey.click_menu("History")
    audrey.click("Tokens")
    for code in ("token.issued", "token.evicted"):
        audrey.sees(code)
    expect(audrey.main.get_by_role("row").filter(has_text="token.issued").filter(has_text="bob")).not_to_have_count(0)

    audrey.open(story.mapping)
    audrey.sees("Ticket OPS-12: quarterly report")
    expect(audrey.page.get_by_role("link", name="Remove access…")).to_have_count(0)
    group = story.demo.rows("SELECT id FROM roles_usergroup WHERE name = 'analysts'")[0][0]
    audrey.open(f"/admin/roles/usergroup/{group}/change/")
    audrey.sees("Mapped roles")
    expect(audrey.page.get_by_role("button", name="Add", exact=True)).to_have_count(0)
    expect(audrey.page.get_by_role("link", name="Map a role")).to_have_count(0)
    assert audrey.open(f"/admin/roles/usergroup/{group}/map-a-role/").status == 403
    assert audrey.open(f"/admin/roles/grouprole/{story.mapping_id}/remove/").status == 403
    assert audrey.posts(f"/admin/roles/grouprole/{story.mapping_id}/remove/", reason="no").status == 403
    assert audrey.posts(f"/admin/roles/usergroup/{group}/members/add/", user="1").status == 403
    assert audrey.posts("/runs/1/retry/").status == 403


# --- taken away ---


def alice_removes_the_mapping_from_the_people_named(story: Story) -> None:
    story.bob.sign_in()  # his page shows the card until he loads it again
    alice = story.alice
    alice.click_menu("User groups")
    alice.click("analysts")
    alice.click("deployment/MyRoleA")
    alice.click("Remove access…")
    alice.sees_title("Remove deployment/MyRoleA from analysts?")
    alice.sees("Who is affected: 1 person")
    people = alice.main.get_by_role("listitem").filter(has_text="bob")
    expect(people.filter(has_not_text="can no longer")).to_have_count(1)
    expect(people.filter(has_text="bob can no longer read or write")).to_have_count(1)
    alice.page.get_by_label("Reason").fill("Ticket OPS-19: report is done")
    alice.click_button("Remove access for 1 person")
    alice.sees("deployment/MyRoleA is removed from analysts.")
    alice.sees(re.compile(r"In sync.*finished", re.DOTALL))
    alice.sees("Removed")


def bob_is_refused_a_new_token(story: Story) -> None:
    bob = story.bob
    bob.click_button(f"Get credentials for {BUCKET}")
    expect(bob.page.get_by_role("alert")).to_be_visible()
    bob.does_not_see("Credentials of")
    bob.click_menu("My access")
    bob.sees("You have no access to any bucket yet.")
    assert bob.open(story.folder).status == 404


def what_bob_was_given_is_nowhere_in_the_portals_files(story: Story, given: dict[str, str]) -> None:
    """Search the database, the queue, and what all processes logged and printed; `sandbox` is AWS's own."""
    places = {"files": in_folder(story.demo.folder, without="sandbox"), "printed": story.demo.said}
    assert "portal.sqlite3" in places["files"] and "web server.log" in places["files"]
    assert hits([given["key_id"]], places) == ["files"], "the history names the access key"
    assert hits([given["secret"], given["token"]], places) == []


# --- AWS, asked directly ---


def credentials_of_role_a(story: Story) -> dict[str, str]:
    """Act as MyRoleA, as the portal does when it hands out tokens."""
    profiles = configparser.RawConfigParser()
    profiles.read(story.demo.folder / "aws-credentials")
    own = profiles[TOKENS_PROFILE]
    sts = story.demo.aws("sts", own["aws_access_key_id"], own["aws_secret_access_key"])
    keys = sts.assume_role(RoleArn=ROLE_A, RoleSessionName="test")["Credentials"]
    return {"key_id": keys["AccessKeyId"], "secret": keys["SecretAccessKey"], "token": keys["SessionToken"]}


def assume(story: Story, keys: dict[str, str], role: str) -> Callable[[], Any]:
    sts = story.demo.aws("sts", **keys)
    return lambda: sts.assume_role(RoleArn=role, RoleSessionName="bob")


def listing(story: Story, keys: dict[str, str], bucket: str = BUCKET) -> Callable[[], Any]:
    s3 = story.demo.aws("s3", **keys)
    return lambda: s3.list_objects_v2(Bucket=bucket)


def allowed(call: Callable[[], Any]) -> bool:
    return bool(call())


def denied(call: Callable[[], Any]) -> bool:
    with pytest.raises(ClientError) as refusal:
        call()
    code: str = refusal.value.response["Error"]["Code"]
    assert code == "AccessDenied", code
    return True


def unexpected(person: Person) -> list[str]:
    """Return what went wrong in the browser, without the refusals that the person asked for."""
    return [problem for problem in person.problems if not re.search(r"status of (403|404)", problem)]
