"""A write that AWS did not answer well is not sent again as it was: what is there is read first, and merged anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from roles.models.choices import RunStatus
from tests import factories
from tests.provisioning.conftest import ROLE_A, ROLE_B, reconciled, sids
from tests.strict_aws.layer.faults import Fault, Kind
from tests.strict_aws.layer.message import Request
from tests.strict_aws.watched import THEIRS, WatchedAws, foreign

pytestmark = pytest.mark.django_db

TRUSTED = foreign("EcsToo", Principal={"Service": "ecs-tasks.amazonaws.com"})
ALLOWED = foreign("LogsToo", Action="logs:PutLogEvents", Resource="*")
READS = {**THEIRS, "Sid": "PartnerReadsToo"}


class Storm:
    """Strikes the first try of one write, and lets an outsider act before the next call of anybody."""

    def __init__(self, aws: WatchedAws, operation: str, kind: Kind, act: Callable[[], None]) -> None:
        self._operation, self._kind, self._act = operation, kind, act
        self._has_struck = self.has_acted = False
        aws.strict.faults.next = self.next

    def next(self, request: Request) -> Fault | None:
        """Stand in for `Faults.next`."""
        if self._has_struck and not self.has_acted:
            self.has_acted = True
            self._act()
        if self._has_struck or not self._is_it(request):
            return None
        self._has_struck = True
        return Fault(self._kind)

    def _is_it(self, request: Request) -> bool:
        if self._operation == "PutBucketPolicy":
            return request.method == "PUT" and "policy" in request.target
        return f"Action={self._operation}&".encode() in request.body


def add_to_bucket(aws: WatchedAws) -> None:
    """Add a statement as an administrator of the bucket does."""
    policy = aws.bucket_policies["example-data"]
    aws.bucket_policies["example-data"] = {**policy, "Statement": [*policy["Statement"], READS]}


def add_to_trust(aws: WatchedAws) -> None:
    trust = aws.role(ROLE_B).trust
    aws.role(ROLE_B).trust = {**trust, "Statement": [*trust["Statement"], TRUSTED]}


def add_to_policy(aws: WatchedAws) -> None:
    role = aws.role(ROLE_A)
    known = role.policies.get("xacct-portal", {"Version": "2012-10-17", "Statement": []})
    role.policies["xacct-portal"] = {**known, "Statement": [*known["Statement"], ALLOWED]}


PLACES: dict[str, tuple[Callable[[WatchedAws], None], Callable[[WatchedAws], dict[str, Any]], str]] = {
    "PutBucketPolicy": (add_to_bucket, lambda aws: aws.bucket_policies["example-data"], "PartnerReadsToo"),
    "UpdateAssumeRolePolicy": (add_to_trust, lambda aws: aws.role(ROLE_B).trust, "EcsToo"),
    "PutRolePolicy": (add_to_policy, lambda aws: aws.role(ROLE_A).policies["xacct-portal"], "LogsToo"),
}


@pytest.mark.parametrize("operation", PLACES)
@pytest.mark.parametrize("kind", [Kind.LOST_RESET, Kind.LOST_TIMEOUT, Kind.RESET, Kind.UNAVAILABLE, Kind.THROTTLED])
def test_what_an_outsider_adds_between_two_tries_of_a_write_stays(
    aws: WatchedAws, procedure: factories.Procedure, operation: str, kind: Kind
) -> None:
    act, document, sid = PLACES[operation]
    storm = Storm(aws, operation, kind, lambda: act(aws))
    run = reconciled(procedure.map())
    assert storm.has_acted
    assert (run.status, run.error) == (RunStatus.IN_SYNC, "")
    found = sids(document(aws))
    assert sid in found
    assert any(one.startswith("Xacct") for one in found)
