"""Cutting off on the strict AWS, which knows people by SourceIdentity too."""

from tests.sandbox.test_cut_off import *  # noqa: F403
