"""The project's own settings, in the demo's environment."""

from roles.management.demo.environment import prepare

prepare()

from xacct_portal.settings import *  # noqa: E402, F403
