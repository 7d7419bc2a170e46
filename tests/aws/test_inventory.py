"""A whole account in as many calls as it has pages, whatever the number of its roles."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.stub import Stubber

from roles.aws import iam
from roles.aws.inventory import account_inventory
from roles.aws.sessions import AccountSession
from roles.errors import AwsAccessDenied, AwsThrottled, PolicySyntax
from roles.policies.builders import pass_role_statements, source_role_trust_statements
from roles.policies.document import PolicyDocument
from roles.values.accounts import Partition
from roles.values.arns import RoleArn
from tests.aws.conftest import ACCOUNT, Sent, refusing

ROLE = RoleArn(Partition.AWS, ACCOUNT, "MyRoleA", "/team/x/")
TRUST = PolicyDocument(source_role_trust_statements(Partition.AWS, services=True, portal_principals=[]))
POLICY = PolicyDocument(pass_role_statements(ROLE))


def detail(number: int, **changed: Any) -> dict[str, Any]:
    """Return one role as a page has it."""
    return {
        "Path": "/",
        "RoleName": f"Role{number}",
        "RoleId": f"AROAEXAMPLE{number:09}",
        "Arn": f"arn:aws:iam::{ACCOUNT}:role/Role{number}",
        "CreateDate": datetime(2026, 1, 1, tzinfo=UTC),
        "AssumeRolePolicyDocument": TRUST.as_json(),
        "RolePolicyList": [],
        "InstanceProfileList": [],
        "Tags": [],
        **changed,
    }


def paged(stub: Stubber, *pages: list[dict[str, Any]]) -> None:
    """Let `stub` answer with these pages and nothing more, expecting each to be asked for."""
    for index, page in enumerate(pages):
        wanted: dict[str, Any] = {"Filter": ["Role", "LocalManagedPolicy"], "MaxItems": 1000}
        if index:
            wanted["Marker"] = f"page-{index}"
        answer: dict[str, Any] = {"RoleDetailList": page, "IsTruncated": index + 1 < len(pages)}
        if answer["IsTruncated"]:
            answer["Marker"] = f"page-{index + 1}"
        stub.add_response("get_account_authorization_details", answer, wanted)


def test_an_account_that_may_not_be_read_is_not_taken_for_an_empty_one(account: AccountSession) -> None:
    with refusing(account.iam, "get_account_authorization_details", "AccessDenied"):
        with pytest.raises(AwsAccessDenied) as raised:
            account_inventory(account)
        assert (raised.value.operation, raised.value.account) == ("GetAccountAuthorizationDetails", ACCOUNT)


def test_half_an_account_is_not_taken_for_a_whole_one(account: AccountSession) -> None:
    with Stubber(account.iam) as stub:
        more = {"RoleDetailList": [detail(1)], "IsTruncated": True, "Marker": "page-1"}
        stub.add_response("get_account_authorization_details", more)
        stub.add_client_error("get_account_authorization_details", "Throttling", "Rate exceeded", http_status_code=400)
        with pytest.raises(AwsThrottled):
            account_inventory(account)


def test_a_document_that_cannot_be_read_is_the_problem_of_its_role_alone(account: AccountSession) -> None:
    with Stubber(account.iam) as stub:
        paged(stub, [detail(1, AssumeRolePolicyDocument="[]"), detail(2)])
        found = account_inventory(account)
    broken, whole = (found.role(RoleArn(Partition.AWS, ACCOUNT, name)) for name in ("Role1", "Role2"))
    assert broken is not None
    assert whole is not None
    assert whole.trust == TRUST
    with pytest.raises(PolicySyntax, match=r"The trust policy of .*Role1"):
        assert broken.trust


def test_two_hundred_roles_on_three_pages_take_three_calls(account: AccountSession) -> None:
    pages = [[detail(n) for n in range(start, stop)] for start, stop in ((0, 90), (90, 95), (95, 200))]
    calls: list[str] = []
    account.iam.meta.events.register("before-parameter-build.iam.*", lambda model, **_: calls.append(model.name))
    with Stubber(account.iam) as stub:
        paged(stub, *pages)
        found = account_inventory(account)
        stub.assert_no_pending_responses()
    assert len(found) == 200
    assert calls == ["GetAccountAuthorizationDetails"] * 3


def test_what_does_not_exist_is_none(account: AccountSession) -> None:
    found = account_inventory(account)
    assert len(found) == 0
    assert found.role(ROLE) is None
    assert found.profile(ROLE) is None


def test_it_has_of_a_role_what_reading_it_alone_gives(account: AccountSession, sent: Sent) -> None:
    iam.create_role(account, ROLE, TRUST, tags={"team": "x"})
    iam.put_role_policy(account, ROLE, "xacct-portal", POLICY)
    iam.create_instance_profile(account, ROLE, tags={})
    iam.add_role_to_instance_profile(account, ROLE)
    state = iam.get_role(account, ROLE)
    sent.clear()
    found = account_inventory(account)
    assert [name for name, _ in sent] == ["GetAccountAuthorizationDetails"]
    role = found.role(RoleArn(Partition.AWS, ACCOUNT, "myrolea"))
    assert role is not None
    assert state is not None
    assert (role.arn, role.role_id, role.path, role.tags) == (state.arn, state.role_id, "/team/x/", {"team": "x"})
    assert role.trust == state.trust
    assert role.inline_policy("xacct-portal") == POLICY
    assert role.inline_policy("another") is None
    assert found.profile(ROLE) == ("MyRoleA",)


def test_documents_do_not_stand_in_the_repr(account: AccountSession) -> None:
    with Stubber(account.iam) as stub:
        paged(stub, [detail(1)])
        found = account_inventory(account)
    role = found.role(RoleArn(Partition.AWS, ACCOUNT, "Role1"))
    assert json.dumps(TRUST.as_dict())[:30] not in repr(role)
    assert "Role1" in repr(role)
