"""What the tests of commands share: the example file, files written on the spot, and a role out of use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone

from roles.models import AssumeRoleGrant, BucketGrant, GroupRole, IamRole
from roles.models.choices import MappingState
from roles.provisioning import runner
from tests import factories

Write = Callable[[str], str]


@pytest.fixture
def example() -> str:
    """The path of the example file: the procedure's world with MyRoleA mapped to analysts."""
    return str(Path(__file__).parent / "files" / "procedure.yaml")


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a file and return its path."""

    def written(text: str) -> str:
        path = tmp_path / "config.yaml"
        path.write_text(text, encoding="utf-8")
        return str(path)

    return written


def no_longer_used(role: IamRole) -> IamRole:
    """End everything that goes through a source role, have a run take it out of AWS, and return the role."""
    now = timezone.now()
    GroupRole.objects.filter(role=role).update(ended_at=now, state=MappingState.REMOVING)
    runner.reconcile(factories.ProvisioningRunFactory(role=role).pk)
    AssumeRoleGrant.objects.filter(source=role).update(ended_at=now)
    BucketGrant.objects.update(ended_at=now)
    return role
