"""Deleting roles and putting documents back on the strict AWS: path-exact permissions, AWS's own conflicts."""

from tests.sandbox.test_orders import *  # noqa: F403
