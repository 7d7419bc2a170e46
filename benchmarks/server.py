"""The web server's application, with an STS that answers at once and counts how often it was asked."""

from __future__ import annotations

import itertools
import os
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.wsgi import get_wsgi_application

from benchmarks import CALLS_FILE, LIFE

SECRET_CHARACTERS, TOKEN_CHARACTERS = 40, 900  # as AWS's are

application = get_wsgi_application()

from roles.aws import sts  # noqa: E402
from roles.values.credentials import Credentials  # noqa: E402

_numbers = itertools.count(1)


def assume_role(request: Any, **_where: Any) -> Credentials:
    """Return credentials of the right size; append a line to the file of calls."""
    with open(os.environ[CALLS_FILE], "a", encoding="ascii") as calls:
        calls.write(f"{request.role_arn}\n")
    life = int(os.environ.get(LIFE, request.seconds))
    key_id = f"ASIA{os.getpid():08}{next(_numbers):08}"
    return Credentials(
        key_id, "s" * SECRET_CHARACTERS, "t" * TOKEN_CHARACTERS, datetime.now(UTC) + timedelta(seconds=life)
    )


sts.assume_role = assume_role
sts.caller_arn = lambda **_where: "arn:aws:iam::111111111111:user/xacct-tokens"  # type: ignore[assignment]
