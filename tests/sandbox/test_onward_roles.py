"""A target role that is a source role too, at an AWS that enforces: a member goes no further than to the bucket."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from roles.aws.sandbox_documents import BUCKET
from roles.models import AssumeRoleGrant, IamRole
from roles.policies import builders
from roles.tokens.broker import Token
from tests import factories
from tests.sandbox.test_token_access import keys_in, token_for
from tests.sandbox.world import World, client_with, text_of

pytestmark = pytest.mark.sandbox


@pytest.fixture
def onward(world: World) -> AssumeRoleGrant:
    """MyRoleB may assume MyRoleC of its account: in the database, and in AWS as steps 2 and 5 have it."""
    role_c: IamRole = factories.IamRoleFactory(account=world.rows.account_b, name="MyRoleC")
    grant: AssumeRoleGrant = factories.AssumeRoleGrantFactory(source=world.rows.role_b, target=role_c)
    trust = builders.trust_statements([world.target], attribution=True)
    world.iam_b.create_role(RoleName="MyRoleC", AssumeRolePolicyDocument=text_of(*trust))
    identity = builders.assume_statements([(role_c.arn, True)])
    world.iam_b.put_role_policy(RoleName="MyRoleB", PolicyName="xacct", PolicyDocument=text_of(*identity))
    return grant


def assume_with(world: World, token: Token, role: IamRole) -> Any:
    """Do what somebody can who pasted the token into their own tool."""
    sts = client_with(token, "sts", world.endpoint_url)
    return sts.assume_role(RoleArn=str(role.arn), RoleSessionName="onward")


@pytest.mark.parametrize("narrowing", [{}, {"access": "READ"}], ids=["whole", "narrowed"])
def test_a_members_session_does_not_assume_the_role_that_its_role_may_assume(
    narrowing: dict[str, str], world: World, onward: AssumeRoleGrant
) -> None:
    token = token_for(world.rows.bob, world.map(**narrowing))
    with pytest.raises(ClientError) as refused:
        assume_with(world, token, onward.target)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    assert "team/notes.md" in keys_in(world.s3_with(token).list_objects_v2(Bucket=BUCKET))


def test_a_session_from_before_the_grant_is_what_could_go_on(world: World, onward: AssumeRoleGrant) -> None:
    """AWS lets MyRoleB through: what stops the members is their session's policy, and nothing else."""
    AssumeRoleGrant.objects.filter(pk=onward.pk).update(ended_at=onward.started_at)
    mapping = world.map()
    older = token_for(world.rows.bob, mapping)
    assert assume_with(world, older, onward.target)["Credentials"]
    AssumeRoleGrant.objects.filter(pk=onward.pk).update(ended_at=None)
    with pytest.raises(ClientError):
        assume_with(world, token_for(world.rows.bob, mapping), onward.target)
