"""The portal's production settings with the floor's page beside its own. Set by `benchmarks/tokens.py`."""

from __future__ import annotations

from xacct_portal.settings import *  # noqa: F403

ROOT_URLCONF = "benchmarks.floor"
WSGI_APPLICATION = "benchmarks.server.application"
