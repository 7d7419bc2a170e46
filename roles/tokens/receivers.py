"""What signing in and out does to tokens, and that both are in the history.

The namespace dies with the session's data whatever happens; what is done here makes it happen in the same request.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.contrib.sessions.models import Session
from django.db.models.signals import post_save, pre_delete, pre_save
from django.dispatch import receiver
from django.http import HttpRequest

from roles.history.recorder import record
from roles.models import User
from roles.models.choices import Outcome
from roles.tokens import cache, revocation

_PASSWORD_CHANGES = "_xacct_password_changes"  # noqa: S105  # an attribute, from before a save to after it
_NAME_MAX_CHARACTERS = 150  # as a user's name in the database


@receiver(user_logged_in, dispatch_uid="roles.tokens.start_namespace_on_login")
def start_namespace_on_login(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    """Begin with no tokens, whatever the session held before. Django keeps a session's data over a login."""
    revocation.forget_session(request.session, actor=user, reason="Somebody signed in.")
    cache.new_namespace(request.session)
    record("login.succeeded", actor=user, subject=user)


@receiver(user_logged_out, dispatch_uid="roles.tokens.forget_tokens_on_logout")
def forget_tokens_on_logout(request: HttpRequest, user: User | None, **_kwargs: Any) -> None:
    """Forget this session's tokens. The user's other sessions keep theirs."""
    revocation.forget_session(request.session, actor=user or revocation.ACTOR, reason="The user signed out.")
    if user is not None:
        record("logout.done", actor=user, subject=user)


@receiver(user_login_failed, dispatch_uid="roles.tokens.record_failed_login")
def record_failed_login(credentials: dict[str, Any], **_kwargs: Any) -> None:
    """Record who was tried. Never what was typed as the password."""
    name = str(credentials.get(User.USERNAME_FIELD) or "")[:_NAME_MAX_CHARACTERS]
    record("login.failed", actor=AnonymousUser(), outcome=Outcome.DENIED, username=name)


@receiver(pre_delete, sender=Session, dispatch_uid="roles.tokens.forget_tokens_of_deleted_session")
def forget_tokens_of_deleted_session(instance: Session, **_kwargs: Any) -> None:
    """Forget what a session held whose row goes: signing in as somebody else, `clearsessions`, a row deleted by hand.

    Django sends no signal of its own then. Data that cannot be decoded reads as empty.
    """
    revocation.forget_session(instance.get_decoded(), reason="The session was deleted.")


@receiver(pre_save, sender=User, dispatch_uid="roles.tokens.notice_password_change")
def notice_password_change(instance: User, update_fields: Collection[str] | None, **_kwargs: Any) -> None:
    """Look whether this save changes a stored password, whoever saves: a page, a command, code."""
    if instance.pk is not None and (update_fields is None or "password" in update_fields):
        changes = User.objects.filter(pk=instance.pk).exclude(password=instance.password).exists()
        vars(instance)[_PASSWORD_CHANGES] = changes


@receiver(post_save, sender=User, dispatch_uid="roles.tokens.forget_tokens_on_password_change")
def forget_tokens_on_password_change(instance: User, **_kwargs: Any) -> None:
    """Forget the tokens of all sessions of a person whose password was changed; Django ends the sessions."""
    if vars(instance).pop(_PASSWORD_CHANGES, False):
        revocation.forget_user(instance, reason="The user's password was changed.")
