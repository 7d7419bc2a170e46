"""The statement ids of ours. A Sid is how a statement of the portal is told from everybody else's.

Letters and digits only (IAM User Guide, "IAM JSON policy elements: Sid"), unique within a document, and stable: the
same grant has the same Sid in every run, so that a change replaces its statement in place.
"""

from __future__ import annotations

import hashlib

from roles.values.arns import BucketArn, RoleArn

SID_PREFIX = "Xacct"

ROLE_SIDS = "XacctRole"
ROLE_SERVICES = "XacctRoleServices"
ROLE_PORTAL = "XacctRolePortal"

TRUST_SIDS = "XacctTrust"
TRUST = "XacctTrust"
TRUST_ATTRIBUTION = "XacctTrustAttribution"
TRUST_NOBODY = "XacctTrustNobody"

ASSUME_SIDS = "XacctAssume"
ASSUME = "XacctAssume"
ASSUME_ATTRIBUTION = "XacctAssumeAttribution"

PASS_ROLE_SIDS = "XacctPassRole"  # noqa: S105 (a Sid)
PASS_ROLE = "XacctPassRole"  # noqa: S105 (a Sid)

GRANT_SIDS = "XacctGrant"
GRANT_LOCATION = "XacctGrantLocation"
GRANT_LIST = "XacctGrantList"
GRANT_LIST_IN = "XacctGrantListIn"
GRANT_OBJECTS = "XacctGrantObjects"
GRANT_KEYS = "XacctGrantKeys"
GRANT_UPLOADS = "XacctGrantUploads"
GRANT_UPLOADS_LIST = "XacctGrantUploadsList"

BUCKET_SIDS = "XacctBucket"
BUCKET_LIST = "XacctBucketList"
BUCKET_OBJECTS = "XacctBucketObjects"
BUCKET_LOCATION = "XacctBucketLocation"
BUCKET_UPLOADS = "XacctBucketUploads"
BUCKET_UPLOADS_LIST = "XacctBucketUploadsList"

CUT_OFF_SIDS = "XacctCutOff"
CUT_OFF = "XacctCutOff"
CUT_OFF_SESSION = "XacctCutOffSession"
CUT_OFF_EVERYBODY = "XacctCutOffEverybody"

_DIGEST_CHARACTERS = 10


def listing_sid(bucket: BucketArn) -> str:
    """Return the Sid of the statement that lets a role's own policy list folders of one bucket."""
    return f"{GRANT_LIST_IN}{hashlib.sha256(str(bucket).encode()).hexdigest()[:_DIGEST_CHARACTERS]}"


def bucket_sid(kind: str, role: RoleArn, prefix: str) -> str:
    """Return the Sid of one statement of a bucket grant: `kind` and ten hex digits for the role and its prefix.

    The level is not part of it, so a grant that changes its level keeps its statements. The bucket is not either: a
    Sid has to be unique in one bucket's policy only.
    """
    digest = hashlib.sha256(f"{role}\n{prefix}".encode()).hexdigest()
    return f"{kind}{digest[:_DIGEST_CHARACTERS]}"
