"""The procedure's two accounts in the sandbox, as they are once they were provisioned."""

from __future__ import annotations

from typing import Any

import boto3
from django.utils import timezone

from roles.aws import sandbox
from roles.aws.sandbox_documents import BUCKET, BUCKET_ACCOUNT, PORTAL_ACCOUNT, TOKENS_PROFILE, foreign_statement
from roles.models import GroupRole
from roles.models.choices import MappingState
from roles.policies import builders
from roles.policies.document import PolicyDocument, Statement
from roles.tokens.broker import Token
from roles.values.accounts import Partition
from roles.values.arns import AccessLevel
from tests import factories

PORTAL = f"arn:aws:iam::{PORTAL_ACCOUNT}:user/{TOKENS_PROFILE}"


class World:
    """The two accounts as they are after steps 1 to 6, made by each account's root."""

    def __init__(self, endpoint_url: str, rows: factories.Procedure) -> None:
        self.endpoint_url, self.rows = endpoint_url, rows
        self.source, self.target = rows.role_a.arn, rows.role_b.arn
        self.iam_a = sandbox.root_client("iam", PORTAL_ACCOUNT, endpoint_url=endpoint_url)
        self.iam_b = sandbox.root_client("iam", BUCKET_ACCOUNT, endpoint_url=endpoint_url)
        self.s3 = sandbox.root_client("s3", BUCKET_ACCOUNT, endpoint_url=endpoint_url)

    def provision(self) -> None:
        trust_a = builders.source_role_trust_statements(Partition.AWS, services=True, portal_principals=[PORTAL])
        self.iam_a.create_role(RoleName=self.source.name, AssumeRolePolicyDocument=text_of(*trust_a))
        identity = (*builders.assume_statements([(self.target, True)]), *builders.pass_role_statements(self.source))
        self.iam_a.put_role_policy(RoleName=self.source.name, PolicyName="xacct", PolicyDocument=text_of(*identity))
        trust_b = builders.trust_statements([self.source], attribution=True)
        self.iam_b.create_role(RoleName=self.target.name, AssumeRolePolicyDocument=text_of(*trust_b))
        bucket = builders.bucket_statements(self.target, self.rows.bucket.arn, AccessLevel.READWRITE, "")
        self.s3.put_bucket_policy(Bucket=BUCKET, Policy=text_of(Statement(foreign_statement()), *bucket))

    def trust(self, *statements: Statement) -> None:
        """Change MyRoleB's trust policy, as the account's owner."""
        self.iam_b.update_assume_role_policy(RoleName=self.target.name, PolicyDocument=text_of(*statements))

    def map(self, **narrowing: Any) -> GroupRole:
        return self.rows.map(state=MappingState.IN_SYNC, provisioned_at=timezone.now(), **narrowing)

    def s3_with(self, token: Token) -> Any:
        """Return an S3 client of somebody who pasted the token into their own tool."""
        return client_with(token, "s3", self.endpoint_url)


def client_with(token: Token, service: str, endpoint_url: str) -> Any:
    """Return a client of somebody who pasted the token into their own tool."""
    session: Any = boto3.Session()
    return session.client(
        service,
        region_name=token.region,
        endpoint_url=endpoint_url,
        aws_access_key_id=token.credentials.access_key_id,
        aws_secret_access_key=token.credentials.secret_access_key,
        aws_session_token=token.credentials.session_token,
    )


def text_of(*statements: Statement) -> str:
    return PolicyDocument(tuple(statements)).as_json()
