"""A permissions boundary that somebody changed after the portal had created the role."""

from __future__ import annotations

from typing import Any

import pytest

from roles.errors import Conflict
from roles.models import DriftFinding, GroupRole
from roles.models.choices import MappingState, RoleOwnership, RunStatus
from roles.operations.accept_drift import check_accept_drift
from roles.operations.repair_drift import check_repair_drift
from roles.operations.scan_drift import scan_drift
from roles.provisioning import preview
from tests import factories
from tests.provisioning.conftest import ROLE_B, reconciled
from tests.provisioning.drifting import read_in_bulk
from tests.strict_aws.in_aws import root
from tests.strict_aws.watched import WatchedAws

pytestmark = pytest.mark.django_db
BOUNDARY = "arn:aws:iam::222222222222:policy/limits/PortalRoles"
SOMETHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture
def mapping(aws: WatchedAws, procedure: factories.Procedure, monkeypatch: pytest.MonkeyPatch) -> GroupRole:
    """A mapping in sync whose target role was created with a boundary."""
    read_in_bulk(monkeypatch)
    aws.add_policy(BOUNDARY, SOMETHING)
    procedure.role_b.permissions_boundary = BOUNDARY
    procedure.role_b.save()
    found = procedure.map()
    assert reconciled(found).status == RunStatus.IN_SYNC
    return found


def take_away() -> None:
    root("iam", "222222222222").delete_role_permissions_boundary(RoleName="MyRoleB")


def warned(procedure: factories.Procedure) -> list[str]:
    return [text for one in preview.plan_now(procedure.role_a).changes for text in one.warnings if "boundary" in text]


def kinds() -> list[Any]:
    return [(row.resource, row.kind) for row in DriftFinding.objects.open()]


def test_one_that_is_as_wished_is_not_spoken_of(mapping: GroupRole, procedure: factories.Procedure) -> None:
    assert warned(procedure) == []
    assert scan_drift(actor=factories.portal_admin()).is_clean


def test_one_that_was_taken_away_is_told_and_not_written(
    mapping: GroupRole, procedure: factories.Procedure, aws: WatchedAws
) -> None:
    take_away()
    (warning,) = warned(procedure)
    assert f"MyRoleB has no permissions boundary in AWS, the portal has the permissions boundary {BOUNDARY}" in warning
    scan_drift(actor=factories.portal_admin())
    assert kinds() == [(ROLE_B, "boundary")]
    aws.calls.clear()
    assert reconciled(mapping).status == RunStatus.IN_SYNC
    assert aws.writes == [] and kinds() == [(ROLE_B, "boundary")]  # no run mended it, so none says so
    mapping.refresh_from_db()
    assert mapping.state == MappingState.IN_SYNC
    finding = DriftFinding.objects.open().get()
    assert warning in finding.note
    for check in (check_repair_drift, check_accept_drift):
        with pytest.raises(Conflict):
            check(finding)


def test_once_the_roles_page_says_what_aws_has_the_finding_is_gone(
    mapping: GroupRole, procedure: factories.Procedure
) -> None:
    take_away()
    scan_drift(actor=factories.portal_admin())
    procedure.role_b.permissions_boundary = ""
    procedure.role_b.save()
    scan_drift(actor=factories.portal_admin("amy"))
    assert kinds() == []


def test_that_of_an_adopted_role_is_its_owners(mapping: GroupRole, procedure: factories.Procedure) -> None:
    procedure.role_b.ownership = RoleOwnership.ADOPTED
    procedure.role_b.save()
    take_away()
    assert warned(procedure) == []
    assert scan_drift(actor=factories.portal_admin()).is_clean
