"""What an owner has to do, out of a plan: of their account only, once for each document, nothing that is in order."""

from __future__ import annotations

from dataclasses import replace

from roles.policies.document import PolicyDocument, Statement
from roles.policies.ownership import BUCKET_SIDS, GRANT_SIDS, TRUST_SIDS
from roles.provisioning.handoff.work import BucketItem, InlineItem, ManagedItem, ProfileItem, RoleItem, work_for
from roles.provisioning.plan import slot_of
from roles.provisioning.resources import DesiredDocument, DesiredRole, ObservedRole, Step
from roles.values.arns import MANAGED_TAGS
from tests.provisioning.handoff import cases
from tests.provisioning.handoff.cases import READABLE, UNREADABLE, changes, documents, seen, source, spilled, target

# --- nothing to do ---


def test_changes_of_other_accounts_are_nobodys_work_here() -> None:
    elsewhere = replace(UNREADABLE, account_id=cases.A)
    assert work_for(changes(target()), elsewhere).items == ()
    assert len(work_for(changes(target()), UNREADABLE).items) == 2


def test_account_that_is_in_order_gets_no_files() -> None:
    wishes = target(READABLE)
    first = changes(wishes)
    role = ObservedRole(PolicyDocument(tuple(wishes[1].statements)), MANAGED_TAGS)
    bucket = PolicyDocument(tuple(wishes[2].statements))
    observed = {slot_of(wishes[0]): role, slot_of(wishes[2]): bucket}
    made = documents(wishes, observed)
    assert made.is_empty
    assert (made.cli.text, made.terraform.text, made.console.text) == ("", "", "")
    assert len(work_for(first, READABLE).items) == 2


def test_role_that_the_portal_may_not_take_over_is_refused_in_words() -> None:
    wishes = target(READABLE)
    trust = PolicyDocument((Statement({"Effect": "Deny", "Principal": "*", "Action": "sts:AssumeRole"}),))
    made = documents(wishes, seen(wishes, Step.TARGET_ROLE, ObservedRole(trust)))
    assert "that the portal did not make" in made.cli.left_out[0]
    assert "create-role" not in made.cli.text
    assert "# NOT IN THIS FILE" in made.cli.text


def test_document_that_aws_would_refuse_for_its_size_is_refused_with_the_numbers() -> None:
    wishes = target()
    grants = [
        statement
        for number in range(60)
        for statement in cases.bucket_statements(cases.ROLE_B, cases.BUCKET, cases.AccessLevel.READ, f"{number:060}/")
    ]
    wishes[2] = DesiredDocument(
        Step.BUCKET_POLICY, UNREADABLE, str(cases.BUCKET), BUCKET_SIDS, tuple(grants), region="us-east-1"
    )
    work = work_for(changes(wishes), UNREADABLE)
    assert [type(item) for item in work.items] == [RoleItem]
    assert "AWS allows 20,480" in work.refused[0]


# --- to do ---


def test_steps_about_one_document_are_one_item() -> None:
    items = work_for(changes([*source(), *target()]), UNREADABLE).items
    assert [type(item) for item in items] == [RoleItem, ProfileItem, InlineItem, RoleItem, BucketItem]
    assert items[2].heading == (
        "Step 2: Create policy in Account A; Step 3: Update the policy with iam:PassRole"
    )  # fmt: skip
    assert isinstance(items[2], InlineItem)
    assert items[2].share.owned == ("XacctAssume", "XacctPassRole")


def test_managed_role_is_created_and_marked_and_an_adopted_one_has_to_be_there() -> None:
    managed = work_for(changes(target()), UNREADABLE).items[0]
    adopted = work_for(changes(target(managed=False)), UNREADABLE).items[0]
    assert isinstance(managed, RoleItem) and isinstance(adopted, RoleItem)
    assert (managed.create, managed.required, managed.exists, managed.tags) == (True, False, None, MANAGED_TAGS)
    assert (adopted.create, adopted.required, adopted.exists, adopted.tags) == (False, True, True, {})


def test_ended_access_asks_for_what_has_to_go() -> None:
    items = work_for(changes([*source(wanted=False), *target(wanted=False)]), UNREADABLE).items
    assert [type(item) for item in items] == [RoleItem, InlineItem, RoleItem, BucketItem]
    role, bucket = items[2], items[3]
    assert isinstance(role, RoleItem) and isinstance(bucket, BucketItem)
    assert (role.create, role.required) == (False, False)
    assert role.trust is not None and role.trust.owned == (TRUST_SIDS,) and role.trust.statements == ()
    assert (bucket.share.owned, bucket.share.statements) == ((BUCKET_SIDS,), ())


def test_role_made_for_its_trust_only_gets_the_placeholder() -> None:
    wish = target()[0]
    assert isinstance(wish, DesiredRole)
    text = documents([wish]).cli.text
    assert '"Sid": "XacctTrustNobody"' in text
    assert "create-role" in text


def test_every_form_makes_the_managed_policies_after_the_role() -> None:
    wish = spilled(2)
    items = work_for(changes([wish, *source()]), UNREADABLE).items
    assert isinstance(items[-1], ManagedItem)
    assert [arn.rpartition("/")[2] for arn, _ in items[-1].wished] == ["xacct-MyRoleA-1", "xacct-MyRoleA-2"]
    forms = documents([*source(), wish])
    for form in (forms.cloudformation, forms.terraform, forms.cli, forms.console):
        assert "xacct-MyRoleA-2" in form.text and "Target1" in form.text and "/xacct-portal/" in form.text
        assert form.left_out == ()
        assert "xacct-MyRoleA-2" not in documents(source()).cli.text


def test_managed_policies_that_are_not_needed_any_more_are_deleted_by_script_and_console_alone() -> None:
    forms = documents([spilled(1, known=3)])
    for form in (forms.cli, forms.console):
        assert "xacct-MyRoleA-3" in form.text and form.left_out == ()
    for form in (forms.cloudformation, forms.terraform):
        assert "xacct-MyRoleA-3" not in form.text.replace("# NOT IN THIS FILE", "").partition("Resources:")[2]
        assert form.left_out == (
            "Deleting the managed policies xacct-MyRoleA-2, xacct-MyRoleA-3 of MyRoleA: a "
            f"{'template' if form is forms.cloudformation else 'configuration'} only adds. Use the script or the "
            "console for it.",
        )
    gone = documents([spilled(0, known=1)])
    assert (gone.cloudformation.text, gone.terraform.text) == ("", "")
    assert "remove_policy" in gone.cli.text
    assert documents([spilled(0)]).is_empty


def test_what_a_roles_own_policy_gives_of_buckets_is_an_inline_policy_of_the_target() -> None:
    grant = Statement({"Sid": "XacctGrantList", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": ["x"]})
    wish = DesiredDocument(Step.BUCKET_POLICY, UNREADABLE, str(cases.ROLE_B), GRANT_SIDS, (grant,))
    (item,) = work_for(changes([wish]), UNREADABLE).items
    assert isinstance(item, InlineItem) and item.role == cases.ROLE_B
    assert item.heading == "Step 6: Give access to buckets in the role's own policy"
    assert "XacctGrantList" in documents([wish]).cli.text


def test_every_form_makes_a_role_with_its_boundary() -> None:
    boundary = "arn:aws:iam::000000000222:policy/limits/PortalRoles"
    wish = target()[0]
    assert isinstance(wish, DesiredRole)
    forms = documents([replace(wish, boundary=boundary)])
    for form in (forms.cloudformation, forms.terraform, forms.cli, forms.console):
        assert boundary in form.text and boundary not in documents([wish]).cli.text
