"""What AWS calls the session of a user: names and tags that it takes, made from what people are called here."""

from __future__ import annotations

import re

SESSION_NAME_MAX_CHARACTERS = 64  # STS API, AssumeRole: RoleSessionName and SourceIdentity, 2 to 64 of [\w+=,.@-]
TAG_VALUE_MAX_CHARACTERS = 256  # STS API, Tag: Value
_TAKEN_BY_AWS = re.compile(r"\A[A-Za-z0-9_+=,.@-]{2,64}\Z")
_NOT_TAKEN = re.compile(r"[^A-Za-z0-9_+=,.@-]+")
_MADE_HERE = re.compile(r"=u[0-9]+\Z")
_NOT_IN_TAGS = re.compile(r"[^\w\s.:/=+@-]")  # IAM User Guide, "Tags for IAM resources": letters, spaces, _.:/=+-@


def session_name(username: str, user_id: int) -> str:
    """Return the RoleSessionName and SourceIdentity for a user: their own name where AWS takes it.

    Otherwise what is left of it with `=u<id>` behind. No two users get the same: a name that already looks like that
    is changed too, and ids are unique. History keeps both names with each token.

    >>> session_name("bob", 7)
    'bob'
    >>> session_name("josé", 8)
    'jos_=u8'
    """
    if _TAKEN_BY_AWS.match(username) and not _MADE_HERE.search(username):
        return username
    ending = f"=u{user_id}"
    return _NOT_TAKEN.sub("_", username)[: SESSION_NAME_MAX_CHARACTERS - len(ending)] + ending


def tag_value(text: str) -> str:
    """Return `text` as the value of a session tag: what AWS does not take becomes `_`, what is too long is cut.

    >>> tag_value("R&D")
    'R_D'
    """
    return _NOT_IN_TAGS.sub("_", " ".join(text.split()))[:TAG_VALUE_MAX_CHARACTERS]
