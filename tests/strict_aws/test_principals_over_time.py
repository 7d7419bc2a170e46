"""Roles that are too new, and roles that are gone: over both emulators."""

from __future__ import annotations

import time

from tests.strict_aws.world import OWNER, PORTAL, Aws, Procedure, allow, answer, document, text, to, trust


def test_new_role_is_unknown_to_policy_writers_and_to_assume_role_for_a_while(world: Procedure, aws: Aws) -> None:
    aws.strict.propagation.seconds = 60
    server = aws.root("iam", PORTAL).get_user(UserName=f"server{world.number}")["User"]["Arn"]
    fresh = aws.role(OWNER, "Fresh", document(trust(server)))
    grant = to(fresh, allow("s3:GetObject", world.objects))
    assert answer(lambda: world.put_policy(grant)) == "MalformedPolicy"
    assert answer(lambda: world.put_trust(trust(fresh))) == "MalformedPolicyDocument"
    assert answer(lambda: aws.assume(world.server, fresh)) == "AccessDenied"
    assert answer(lambda: world.iam.get_role(RoleName="Fresh")) == "ok"
    aws.strict.propagation.seconds = 0
    assert answer(lambda: world.put_policy(grant)) == "ok"
    assert answer(lambda: world.put_trust(trust(fresh))) == "ok"
    assert answer(lambda: aws.assume(world.server, fresh)) == "ok"


def test_propagation_ends_by_itself(world: Procedure, aws: Aws) -> None:
    aws.strict.propagation.seconds = 0.4
    fresh = aws.role(OWNER, "Fresh", document(trust(PORTAL)))
    assert answer(lambda: world.put_trust(trust(fresh))) == "MalformedPolicyDocument"
    time.sleep(0.5)
    assert answer(lambda: world.put_trust(trust(fresh))) == "ok"


def test_deleted_role_leaves_its_unique_id_behind_everywhere(world: Procedure, aws: Aws) -> None:
    world.put_policy(to([world.b, world.a], allow("s3:GetObject", world.objects)))
    aws.role(OWNER, "Trusting", document(trust(world.b)))
    gone = world.iam.get_role(RoleName=world.b_name)["Role"]["RoleId"]
    world.iam.delete_role(RoleName=world.b_name)
    assert gone.startswith("AROA")
    assert world.policy()["Statement"][0]["Principal"]["AWS"] == [gone, world.a]
    trusting = world.iam.get_role(RoleName="Trusting")["Role"]["AssumeRolePolicyDocument"]
    assert trusting["Statement"][0]["Principal"] == {"AWS": gone}


def test_recreated_role_is_another_one_until_the_statement_is_written_again(world: Procedure, aws: Aws) -> None:
    grant = to(world.b, allow("s3:GetObject", world.objects))
    world.put_policy(grant)
    old = world.assume()
    assert world.get(old) == "ok"
    world.iam.delete_role(RoleName=world.b_name)
    assert world.get(old) in ("AccessDenied", "InvalidAccessKeyId")
    aws.role(OWNER, world.b_name, document(trust(world.a)))
    assert world.get(old) in ("AccessDenied", "InvalidAccessKeyId")
    assert world.get(world.assume()) == "AccessDenied"
    assert world.policy()["Statement"][0]["Principal"]["AWS"].startswith("AROA")
    world.put_policy(grant)
    assert world.get(world.assume()) == "ok"


def test_recreated_source_role_is_no_longer_trusted(world: Procedure, aws: Aws) -> None:
    iam = aws.root("iam", PORTAL)
    made = iam.get_role(RoleName=world.a_name)["Role"]["AssumeRolePolicyDocument"]
    iam.delete_role_policy(RoleName=world.a_name, PolicyName="p")
    iam.delete_role(RoleName=world.a_name)
    aws.role(PORTAL, world.a_name, made, allow("sts:*"))
    assert answer(world.assume) == "AccessDenied"
    world.put_trust(trust(world.a))
    assert answer(world.assume) == "ok"


def test_dead_id_in_a_foreign_statement_fails_the_whole_write(world: Procedure, aws: Aws) -> None:
    foreign = aws.role(OWNER, "Foreign", document(trust(PORTAL)))
    world.put_policy(to(foreign, allow("s3:GetObject", world.objects)))
    world.iam.delete_role(RoleName="Foreign")
    theirs, mine = world.policy()["Statement"][0], to(world.b, allow("s3:PutObject", world.objects))
    assert answer(lambda: world.put_policy(theirs, mine)) == "MalformedPolicy"
    assert answer(lambda: world.put_policy(mine)) == "ok"


def test_unique_id_of_somebody_living_is_taken_and_shown_as_the_arn(world: Procedure) -> None:
    unique_id = world.iam.get_role(RoleName=world.b_name)["Role"]["RoleId"]
    world.put_policy(to(unique_id, allow("s3:GetObject", world.objects)))
    assert world.policy()["Statement"][0]["Principal"] == {"AWS": world.b}
    assert world.get(world.assume()) == "ok"


def test_deleted_user_leaves_its_unique_id_behind(world: Procedure, aws: Aws) -> None:
    iam = aws.root("iam", OWNER)
    user = iam.create_user(UserName="erin")["User"]
    world.put_policy(to(user["Arn"], allow("s3:GetObject", world.objects)))
    iam.delete_user(UserName="erin")
    assert world.policy()["Statement"][0]["Principal"] == {"AWS": user["UserId"]}
    text_of_it = text(document(to(user["Arn"], allow("s3:GetObject", world.objects))))
    put = lambda: world.s3.put_bucket_policy(Bucket=world.bucket, Policy=text_of_it)  # noqa: E731
    assert answer(put) == "MalformedPolicy"
