"""The endpoint that AWS SDKs ask for credentials (`AWS_CONTAINER_CREDENTIALS_FULL_URI`)."""

from __future__ import annotations

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_GET

from roles.api.answers import bearer_in, refused
from roles.errors import PortalError
from roles.models import ToolBearer
from roles.tokens import bearers, broker, formats


@login_not_required  # what is shown is a bearer, in a header that no browser sends by itself; a cookie counts nothing
@never_cache
@require_GET
@sensitive_variables()
def container_credentials(request: HttpRequest, mapping_id: int, target_id: int) -> JsonResponse:
    """Give the credentials of one mapping and target to whoever shows its bearer, as the bearer's user would get them.

    The token is that of the bearer's login session: the same that its pages show. AWS SDKs wait two seconds.
    """
    held: ToolBearer | None = None
    try:
        shown = bearers.open_bearer(bearer_in(request), mapping_id=mapping_id, target_id=target_id)
        held = shown.row
        token = broker.get_token(
            actor=held.user,
            session=shown.session,
            mapping_id=mapping_id,
            target_id=target_id,
            purpose=str(held.purpose),
        )
    except PortalError as error:
        return refused(request, error, bearer=held)
    bearers.note_use(held)
    return JsonResponse(formats.container_credentials(token.credentials))
