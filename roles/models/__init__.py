"""Tables, constraints and querysets. Saves have no side effects; operations change rows and record why."""

from roles.models.accounts import AwsAccount
from roles.models.bearers import ToolBearer
from roles.models.buckets import Bucket, BucketGrant
from roles.models.cut_offs import CutOff
from roles.models.drift import DriftFinding
from roles.models.events import AuditChain, AuditEvent
from roles.models.groups import GroupRole, Membership, UserGroup
from roles.models.iam_roles import AssumeRoleGrant, IamRole
from roles.models.runs import ProvisioningRun, ProvisioningStep, ResourceLease
from roles.models.suspensions import Suspension
from roles.models.tokens import IssuedToken
from roles.models.users import User

__all__ = [
    "AssumeRoleGrant",
    "AuditChain",
    "AuditEvent",
    "AwsAccount",
    "Bucket",
    "BucketGrant",
    "CutOff",
    "DriftFinding",
    "GroupRole",
    "IamRole",
    "IssuedToken",
    "Membership",
    "ProvisioningRun",
    "ProvisioningStep",
    "ResourceLease",
    "Suspension",
    "ToolBearer",
    "User",
    "UserGroup",
]
