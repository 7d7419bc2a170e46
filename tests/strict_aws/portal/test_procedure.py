"""The procedure, provisioned on the strict AWS: refusals, normalised documents, path-exact permissions."""

from tests.sandbox.test_procedure import *  # noqa: F403
