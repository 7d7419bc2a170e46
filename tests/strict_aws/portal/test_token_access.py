"""Tokens on the strict AWS: sessions, session policies and revocation as AWS judges them."""

from tests.sandbox.test_token_access import *  # noqa: F403
