"""The Celery application. Tasks live in `roles.tasks`; web processes send by name and never import them."""

from __future__ import annotations

import os

from celery import Celery

from xacct_portal import folder_broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "xacct_portal.settings")

folder_broker.use()
app = Celery("xacct_portal")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
