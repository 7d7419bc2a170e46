"""What Bob's token can do at an AWS that enforces: the sandbox itself allows and denies."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from django.test import Client

from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT
from roles.errors import AwsAccessDenied, NotFound
from roles.models import AuditEvent, GroupRole, IamRole, User
from roles.policies import builders
from roles.policies.document import Statement
from roles.tokens import broker
from roles.tokens.broker import Token
from roles.values.accounts import Partition
from tests import factories
from tests.sandbox.proxy import CallLog
from tests.sandbox.world import World, text_of

pytestmark = pytest.mark.sandbox


def token_for(user: User, mapping: GroupRole) -> Token:
    client = Client()
    client.force_login(user)
    return broker.get_token(actor=user, session=client.session, mapping_id=mapping.pk)


def denied(call: Any, **arguments: Any) -> bool:
    """Return True once AWS refused the call as not allowed."""
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"]) == "AccessDenied"


def keys_in(answer: dict[str, Any]) -> list[str]:
    return [item["Key"] for item in answer.get("Contents", [])]


def test_a_member_of_another_group_gets_nothing(world: World, charlie: User, aws: CallLog) -> None:
    factories.MembershipFactory(user=charlie)
    with pytest.raises(NotFound):
        token_for(charlie, world.map())
    assert aws.names == []


def test_the_whole_bucket_may_be_listed_read_and_written(world: World) -> None:
    s3 = world.s3_with(token_for(world.rows.bob, world.map()))
    assert "team/notes.md" in keys_in(s3.list_objects_v2(Bucket=BUCKET))
    assert s3.get_object(Bucket=BUCKET, Key="team-secret/plan.md")["Body"].read()
    s3.put_object(Bucket=BUCKET, Key="new/file.txt", Body=b"by bob")
    assert s3.get_object(Bucket=BUCKET, Key="new/file.txt")["Body"].read() == b"by bob"
    s3.delete_object(Bucket=BUCKET, Key="new/file.txt")
    assert "new/file.txt" not in keys_in(s3.list_objects_v2(Bucket=BUCKET))


def test_a_token_opens_nothing_beyond_the_bucket(world: World) -> None:
    world.s3.create_bucket(Bucket="not-granted")
    s3 = world.s3_with(token_for(world.rows.bob, world.map()))
    assert denied(s3.list_objects_v2, Bucket="not-granted")
    assert denied(s3.get_bucket_policy, Bucket=BUCKET)


def test_a_token_of_an_adopted_administrator_opens_the_granted_bucket_and_nothing_else(world: World) -> None:
    IamRole.objects.filter(pk=world.rows.role_b.pk).update(ownership="adopted")
    everything = Statement({"Effect": "Allow", "Action": "*", "Resource": "*"})
    world.iam_b.put_role_policy(RoleName="MyRoleB", PolicyName="admin", PolicyDocument=text_of(everything))
    world.s3.create_bucket(Bucket="not-granted")
    token = token_for(world.rows.bob, world.map())
    s3 = world.s3_with(token)
    assert denied(s3.list_objects_v2, Bucket="not-granted")
    assert denied(s3.get_bucket_policy, Bucket=BUCKET)
    assert "team/notes.md" in keys_in(s3.list_objects_v2(Bucket=BUCKET))


def test_a_narrowed_token_reads_in_its_folder_alone(world: World) -> None:
    s3 = world.s3_with(token_for(world.rows.bob, world.map(access="READ", prefix="team/")))
    # Denied: the folder beside it, the folder above it, and every way to write.
    assert denied(s3.get_object, Bucket=BUCKET, Key="team-secret/plan.md")
    assert denied(s3.get_object, Bucket=BUCKET, Key="README.txt")
    assert denied(s3.list_objects_v2, Bucket=BUCKET, Prefix="team-secret/")
    assert denied(s3.list_objects_v2, Bucket=BUCKET, Prefix="team")
    assert denied(s3.list_objects_v2, Bucket=BUCKET)
    assert denied(s3.put_object, Bucket=BUCKET, Key="team/notes.md", Body=b"changed")
    assert denied(s3.delete_object, Bucket=BUCKET, Key="team/notes.md")
    # Allowed: listing and reading in it.
    assert keys_in(s3.list_objects_v2(Bucket=BUCKET, Prefix="team/")) == ["team/notes.md"]
    assert s3.get_object(Bucket=BUCKET, Key="team/notes.md")["Body"].read()
    assert world.s3.get_object(Bucket=BUCKET, Key="team/notes.md")["Body"].read() != b"changed"


def test_a_write_only_token_writes_and_never_reads(world: World) -> None:
    s3 = world.s3_with(token_for(world.rows.bob, world.map(access="WRITE", prefix="team/")))
    assert denied(s3.get_object, Bucket=BUCKET, Key="team/notes.md")
    assert denied(s3.list_objects_v2, Bucket=BUCKET, Prefix="team/")
    assert denied(s3.put_object, Bucket=BUCKET, Key="team-secret/new.txt", Body=b"x")
    s3.put_object(Bucket=BUCKET, Key="team/new.txt", Body=b"by bob")
    assert world.s3.get_object(Bucket=BUCKET, Key="team/new.txt")["Body"].read() == b"by bob"


def test_once_role_b_trusts_role_a_no_more_a_new_token_is_refused_in_plain_words(world: World) -> None:
    mapping = world.map()
    assert token_for(world.rows.bob, mapping).attributed
    world.trust(builders.nobody_statement())
    with pytest.raises(AwsAccessDenied) as refused:
        token_for(world.rows.bob, mapping)
    assert refused.value.message == "AWS does not let MyRoleA assume MyRoleB in account 222222222222."
    assert "trust policy of MyRoleB" in refused.value.hint
    assert AuditEvent.objects.get(code="token.refused").details["aws_code"] == "AccessDenied"


def test_once_role_a_trusts_the_portal_no_more_a_new_token_is_refused_in_plain_words(world: World) -> None:
    services = builders.source_role_trust_statements(Partition.AWS, services=True, portal_principals=[])
    world.iam_a.update_assume_role_policy(RoleName="MyRoleA", PolicyDocument=text_of(*services))
    with pytest.raises(AwsAccessDenied) as refused:
        token_for(world.rows.bob, world.map())
    assert refused.value.message == "AWS does not let the portal act as MyRoleA in account 111111111111."


@pytest.mark.parametrize("wanted", [True, False])
def test_a_trust_without_tags_still_gives_a_token_that_says_so(world: World, wanted: bool) -> None:
    IamRole.objects.filter(pk=world.rows.role_b.pk).update(attribution=wanted)
    world.trust(*builders.trust_statements([world.source], attribution=False))
    token = token_for(world.rows.bob, world.map())
    assert not token.attributed
    assert AuditEvent.objects.get(code="token.issued").details["attributed"] is False
    assert "team/notes.md" in keys_in(world.s3_with(token).list_objects_v2(Bucket=BUCKET))


def test_aws_knows_the_session_by_the_users_name(world: World) -> None:
    token = token_for(world.rows.bob, world.map())
    session: Any = boto3.Session()
    caller = session.client(
        "sts",
        region_name=token.region,
        endpoint_url=world.endpoint_url,
        aws_access_key_id=token.credentials.access_key_id,
        aws_secret_access_key=token.credentials.secret_access_key,
        aws_session_token=token.credentials.session_token,
    ).get_caller_identity()
    assert caller["Arn"] == f"arn:aws:sts::{BUCKET_ACCOUNT}:assumed-role/MyRoleB/bob"
    assert token.attributed


def test_many_requests_of_a_session_cost_one_role_chain(world: World, aws: CallLog) -> None:
    mapping = world.map()
    client = Client()
    client.force_login(world.rows.bob)
    for _ in range(5):
        broker.get_token(actor=world.rows.bob, session=client.session, mapping_id=mapping.pk)
    assert aws.names.count("AssumeRole") == 2
    assert aws.writes == []
