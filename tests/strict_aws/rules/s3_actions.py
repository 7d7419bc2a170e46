"""S3's actions by what they act on (Service Authorization Reference, "Actions ... for Amazon S3")."""

from __future__ import annotations

import functools
import re

_OF_OBJECTS = """
    AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectTagging DeleteObjectVersion
    DeleteObjectVersionTagging GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold GetObjectRetention
    GetObjectTagging GetObjectTorrent GetObjectVersion GetObjectVersionAcl GetObjectVersionAttributes
    GetObjectVersionForReplication GetObjectVersionTagging GetObjectVersionTorrent InitiateReplication
    ListMultipartUploadParts ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl PutObjectLegalHold
    PutObjectRetention PutObjectTagging PutObjectVersionAcl PutObjectVersionTagging ReplicateDelete ReplicateObject
    ReplicateTags RestoreObject UpdateObjectEncryption
    """
_OF_BUCKETS = """
    CreateBucket DeleteBucket DeleteBucketOwnershipControls DeleteBucketPolicy DeleteBucketWebsite
    GetAccelerateConfiguration GetAnalyticsConfiguration GetBucketAcl GetBucketCORS GetBucketLocation GetBucketLogging
    GetBucketNotification GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy
    GetBucketPolicyStatus GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning
    GetBucketWebsite GetEncryptionConfiguration GetIntelligentTieringConfiguration GetInventoryConfiguration
    GetLifecycleConfiguration GetMetricsConfiguration GetReplicationConfiguration ListBucket
    ListBucketMultipartUploads ListBucketVersions PutAccelerateConfiguration PutAnalyticsConfiguration PutBucketAcl
    PutBucketCORS PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration
    PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment PutBucketTagging
    PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration PutIntelligentTieringConfiguration
    PutInventoryConfiguration PutLifecycleConfiguration PutMetricsConfiguration PutReplicationConfiguration
    """


def _actions(names: str) -> frozenset[str]:
    return frozenset(f"s3:{name}".lower() for name in names.split())


OBJECT_ACTIONS = _actions(_OF_OBJECTS)
BUCKET_ACTIONS = _actions(_OF_BUCKETS)


@functools.cache
def matching(pattern: str) -> frozenset[str]:
    """Return the actions, in lower case, that an `Action` of a bucket policy means; none when S3 knows no such one."""
    expression = re.escape(pattern.lower()).replace(r"\*", ".*").replace(r"\?", ".")
    return frozenset(action for action in OBJECT_ACTIONS | BUCKET_ACTIONS if re.fullmatch(expression, action))
