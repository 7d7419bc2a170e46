"""The Django project: settings, URLs, WSGI and Celery entry points."""

from xacct_portal.celery import app as celery_app

__all__ = ["celery_app"]
