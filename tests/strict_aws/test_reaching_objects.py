"""Who reaches objects, over both emulators: identity, bucket and session policies, boundaries, revocation."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tests.strict_aws.world import OWNER, PORTAL, Aws, Procedure, allow, answer, deny, document, text, to, trust


def test_procedures_grant_opens_this_bucket_and_nothing_else(world: Procedure, aws: Aws) -> None:
    assert world.get(world.assume()) == "AccessDenied"
    world.put_policy(
        to([world.b], allow("s3:ListBucket", world.arn)), to([world.b], allow("s3:GetObject", world.objects))
    )
    session, other = world.assume(), Procedure(aws)
    assert (world.get(session), world.list(session)) == ("ok", "ok")
    assert (world.put(session), other.get(session), other.list(session)) == ("AccessDenied",) * 3
    assert answer(lambda: aws.client("iam", session).list_roles()) == "AccessDenied"
    assert answer(lambda: aws.client("s3", session).list_buckets()) == "AccessDenied"
    assert world.get(world.as_a()) == "AccessDenied"


def test_missing_key_is_told_only_to_those_who_may_list(world: Procedure) -> None:
    world.put_policy(to(world.b, allow("s3:GetObject", world.objects)))
    assert world.get(world.assume(), "nope") == "AccessDenied"
    world.put_policy(to(world.b, allow(["s3:GetObject", "s3:ListBucket"], [world.arn, world.objects])))
    assert world.get(world.assume(), "nope") == "NoSuchKey"


def test_prefix_condition_opens_that_prefix_only(world: Procedure) -> None:
    world.put_policy(
        to(world.b, allow("s3:ListBucket", world.arn, Condition={"StringLike": {"s3:prefix": "reports/*"}}))
    )
    session = world.assume()
    assert (world.list(session), world.list(session, Prefix="hr/")) == ("AccessDenied", "AccessDenied")
    assert world.list(session, Prefix="reports/") == "ok"


def test_session_policy_cuts_a_grant_to_the_role_but_not_one_to_the_session(world: Procedure) -> None:
    narrow = text(document(allow("s3:GetObject", f"{world.arn}/reports/*")))
    world.put_policy(to(world.b, allow("s3:GetObject", world.objects)))
    session = world.assume(Policy=narrow)
    assert (world.get(session, "hr/1"), world.get(session)) == ("AccessDenied", "ok")
    world.put_policy(
        to(f"arn:aws:sts::{OWNER}:assumed-role/{world.b_name}/alice", allow("s3:GetObject", world.objects))
    )
    assert world.get(session, "hr/1") == "ok"
    by_arn = {"ArnEquals": {"aws:PrincipalArn": world.b}}
    world.put_policy(to("*", allow("s3:GetObject", world.objects, Condition=by_arn)))
    assert world.get(session, "hr/1") == "ok"


def test_permissions_boundary_cuts_a_grant_to_the_role(world: Procedure) -> None:
    limit = text(document(allow("s3:GetObject", f"{world.arn}/reports/*")))
    arn = world.iam.create_policy(PolicyName="limit", PolicyDocument=limit)["Policy"]["Arn"]
    world.put_policy(to(world.b, allow("s3:GetObject", world.objects)))
    world.iam.put_role_permissions_boundary(RoleName=world.b_name, PermissionsBoundary=arn)
    session = world.assume()
    assert (world.get(session, "hr/1"), world.get(session)) == ("AccessDenied", "ok")


def test_account_principal_leaves_it_to_the_accounts_own_policies(world: Procedure, aws: Aws) -> None:
    world.put_policy(to(OWNER, allow("s3:GetObject", world.objects)))
    assert world.get(world.assume()) == "AccessDenied"
    aws.put_role_policy(OWNER, world.b_name, allow("s3:GetObject", world.objects))
    assert world.get(world.assume()) == "ok"


def test_from_another_account_both_policies_must_allow(world: Procedure, aws: Aws) -> None:
    world.put_policy(to(world.a, allow("s3:GetObject", world.objects)))
    assert world.get(world.as_a()) == "AccessDenied"
    aws.put_role_policy(PORTAL, world.a_name, allow("s3:GetObject", world.objects))
    assert world.get(world.as_a()) == "ok"
    world.put_policy(to(world.b, allow("s3:GetObject", world.objects)))
    assert world.get(world.as_a()) == "AccessDenied"


def test_denials_win_wherever_they_stand(world: Procedure, aws: Aws) -> None:
    grant = to(world.b, allow("s3:GetObject", world.objects))
    hidden = deny("s3:GetObject", f"{world.arn}/hr/*")
    world.put_policy(grant, to("*", hidden))
    session = world.assume()
    assert (world.get(session, "hr/1"), world.get(session)) == ("AccessDenied", "ok")
    world.put_policy(grant)
    assert world.get(session, "hr/1") == "ok"
    aws.put_role_policy(OWNER, world.b_name, hidden)
    assert (world.get(session, "hr/1"), world.get(session)) == ("AccessDenied", "ok")


def test_not_principal_denies_everybody_else(world: Procedure, aws: Aws) -> None:
    other = aws.role(OWNER, "Other", document(trust(world.a)))
    grants = to([world.b, other], allow("s3:GetObject", world.objects))
    excluded = {**deny("s3:GetObject", world.objects), "NotPrincipal": {"AWS": [world.b, OWNER]}}
    world.put_policy(grants, {**excluded, "NotPrincipal": {"AWS": [world.b]}})
    assert world.get(aws.assume(world.as_a(), other)) == "AccessDenied"
    assert world.get(world.assume()) == "ok"
    world.put_policy(grants, excluded)
    assert world.get(aws.assume(world.as_a(), other)) == "ok"


def test_policy_variables_stand_for_the_callers_own(world: Procedure, aws: Aws) -> None:
    role_id = world.iam.get_role(RoleName=world.b_name)["Role"]["RoleId"]
    world.s3.put_object(Bucket=world.bucket, Key=f"{role_id}:alice/x", Body=b"x")
    aws.put_role_policy(OWNER, world.b_name, allow("s3:GetObject", f"{world.arn}/${{aws:userid}}/*"))
    assert world.get(world.assume(name="bob"), f"{role_id}:alice/x") == "AccessDenied"
    assert world.get(world.assume(name="alice"), f"{role_id}:alice/x") == "ok"


def test_older_sessions_are_revoked_and_newer_are_not(world: Procedure, aws: Aws) -> None:
    world.put_policy(to(world.b, allow("s3:GetObject", world.objects)))
    old = world.assume()
    time.sleep(1.1)
    cut = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    aws.put_role_policy(OWNER, world.b_name, deny("*", Condition={"DateLessThan": {"aws:TokenIssueTime": cut}}))
    assert world.get(old) == "AccessDenied"
    assert world.get(world.assume()) == "ok"


def test_one_person_is_cut_off_by_source_identity(world: Procedure, aws: Aws) -> None:
    world.put_trust(trust(world.a, ["sts:AssumeRole", "sts:SetSourceIdentity"]))
    world.put_policy(to(world.b, allow("s3:GetObject", world.objects)))
    aws.put_role_policy(OWNER, world.b_name, deny("*", Condition={"StringEquals": {"aws:SourceIdentity": "mallory"}}))
    assert world.get(world.assume(SourceIdentity="mallory")) == "AccessDenied"
    assert world.get(world.assume(SourceIdentity="alice")) == "ok"


def test_path_of_a_role_counts_in_the_policies_about_it(world: Procedure, aws: Aws) -> None:
    within = allow(["iam:CreateRole", "iam:GetRole", "iam:DeleteRole"], f"arn:aws:iam::{OWNER}:role/portal/*")
    _, keys = aws.user(OWNER, "provisioner", within)
    iam, made = aws.client("iam", keys), text(document(trust(world.a)))
    assert answer(lambda: iam.create_role(RoleName="Made", AssumeRolePolicyDocument=made)) == "AccessDenied"
    assert answer(lambda: iam.create_role(RoleName="Made", Path="/portal/", AssumeRolePolicyDocument=made)) == "ok"
    assert answer(lambda: iam.get_role(RoleName="Made")) == "ok"
    assert answer(lambda: iam.get_role(RoleName=world.b_name)) == "AccessDenied"
    tagged = {"RoleName": "Tagged", "Path": "/portal/", "Tags": [{"Key": "by", "Value": "portal"}]}
    assert answer(lambda: iam.create_role(AssumeRolePolicyDocument=made, **tagged)) == "AccessDenied"
