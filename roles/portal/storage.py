"""Where in S3 a page is: the user's own grant on a bucket, the folder, and the store that acts with their own token."""

from __future__ import annotations

from dataclasses import dataclass

from django.conf import settings
from django.http import HttpRequest

from roles.aws.objects import ObjectStore
from roles.errors import InputError, NotFound, NotPermitted
from roles.models import Bucket, GroupRole, IamRole
from roles.portal.page import signed_in
from roles.tokens import broker, scope
from roles.tokens.scope import EffectiveGrant

KEY_MAX_BYTES = 1024  # S3: object keys are at most 1,024 bytes of UTF-8
_CONTROL_END, _DELETE = 0x20, 0x7F


@dataclass(frozen=True, slots=True)
class Place:
    """A folder (or object key) of a bucket, seen through one mapping. `grants` are the user's on that bucket."""

    mapping: GroupRole
    target: IamRole
    bucket: Bucket
    grants: tuple[EffectiveGrant, ...]
    key: str

    @property
    def reads(self) -> bool:
        """Whether what is here may be listed and read."""
        return any(grant.level.reads for grant in self._here())

    @property
    def writes(self) -> bool:
        """Whether objects may be put and deleted here."""
        return any(grant.level.writes for grant in self._here())

    @property
    def is_inside(self) -> bool:
        """Whether the key lies under one of the granted prefixes."""
        return bool(self._here())

    @property
    def root(self) -> str:
        """The granted prefix above this place, where its breadcrumb begins: the widest one."""
        return min((grant.prefix for grant in self._here()), key=len, default="")

    @property
    def arn(self) -> str:
        """The object's, folder's or bucket's ARN, for the history."""
        return f"{self.bucket.arn}/{self.key}" if self.key else str(self.bucket.arn)

    def require(self, *, write: bool) -> None:
        """Raise `NotPermitted` unless the database gives this user that here. AWS is asked only after that."""
        if not self.is_inside:
            raise NotPermitted(
                f"Your access to {self.bucket} does not include '{self.key}'.",
                rule="objects.inside_prefix",
                subject=self.mapping,
                hint=f"You may use {', '.join(sorted(f'{self.bucket}/{grant.prefix}' for grant in self.grants))}.",
            )
        if write and not self.writes:
            raise NotPermitted(
                f"You may read {self.bucket}/{self.root}, but not change anything in it.",
                rule="objects.write",
                subject=self.mapping,
                hint="Ask a portal admin for write access if you need it.",
            )
        if not write and not self.reads:
            raise NotPermitted(
                f"You may write to {self.bucket}/{self.root}, but not read it.",
                rule="objects.read",
                subject=self.mapping,
                hint="Ask a portal admin for read access if you need it.",
            )

    def _here(self) -> list[EffectiveGrant]:
        return [grant for grant in self.grants if self.key.startswith(grant.prefix)]


def place_of(request: HttpRequest, mapping_id: int, bucket_name: str, key: str) -> Place:
    """Return the place, or raise `NotFound` for a mapping or bucket that is not the user's, `NotEntitled` for one
    that cannot be used now. Where several target roles open the bucket, the one whose grant covers the key is taken.
    """
    if "\x00" in key:
        raise InputError("An object's key has no NUL character in it.", field="key")
    usable = scope.mapping_for(signed_in(request), mapping_id)
    places = [
        Place(usable.mapping, target.role, grants[0].bucket, grants, key)
        for target in usable.targets
        if (grants := tuple(grant for grant in target.grants if grant.bucket.name == bucket_name))
    ]
    if not places:
        raise NotFound(f"There is no bucket '{bucket_name}' in this access.", hint="Choose one on 'My access'.")
    return next((place for place in places if place.is_inside), places[0])


def store_of(request: HttpRequest, place: Place) -> ObjectStore:
    """Return the bucket as seen with the user's own token: what AWS refuses them, it refuses here."""
    token = broker.get_token(
        actor=signed_in(request),
        session=request.session,
        mapping_id=place.mapping.pk,
        target_id=place.target.pk,
    )
    return ObjectStore(
        token.credentials,
        bucket=place.bucket.name,
        region=place.bucket.region,
        account_id=place.bucket.account.account_id,
    )


def object_key(folder: str, name: str) -> str:
    """Return the key of an object called `name` in `folder`, or raise `InputError`. Names are taken as they are."""
    allowed = "a file name without '/' and control characters"
    if not name or name in (".", "..") or "/" in name:
        raise InputError(f"'{name}' cannot be a file's name in a bucket.", field="file", allowed=allowed)
    if any(ord(character) < _CONTROL_END or ord(character) == _DELETE for character in name):
        raise InputError("The file's name has control characters in it.", field="file", allowed=allowed)
    key = f"{folder}{name}"
    if len(key.encode()) > KEY_MAX_BYTES:
        raise InputError(
            "The folder and the file's name are together longer than S3 takes.",
            field="file",
            allowed=f"at most {KEY_MAX_BYTES} bytes",
        )
    return key


def upload_limit() -> int:
    """Return how many bytes one upload may have."""
    return int(settings.XACCT_UPLOAD_MAX_BYTES)
