"""Look at a way into an account: who one is there, what one may do, and what AWS's clock says. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from roles.aws.errors import translated
from roles.aws.sessions import AccountSession
from roles.values.accounts import AccountAccess
from roles.values.arns import MANAGED_POLICY_PATH, MANAGED_POLICY_PREFIX, MANAGED_TAG, MANAGED_TAGS


@dataclass(frozen=True, slots=True)
class Identity:
    """Who one is at the end of a way in, as STS says."""

    arn: str
    account_id: str


class Probe:
    """A way into one account, opened with short time-outs, that listens to what AWS's answers say besides.

    `skew` is how far AWS's clock is ahead of ours, from the newest answer with a date, also one that refused; None
    when there was none. `bucket_region` is the region that the newest answer about a bucket named, or empty.
    """

    def __init__(self, access: AccountAccess) -> None:
        self.session = AccountSession(access, is_brief=True, on_client=self._listen)
        self.skew: timedelta | None = None
        self.bucket_region = ""

    def identity(self) -> Identity:
        """Ask STS who one is. Raises an `AwsError`; its `operation` says whether the way in was refused already."""
        with translated(service="sts", operation="GetCallerIdentity", account=self.session.access.account_id):
            found = self.session.sts.get_caller_identity()
        return Identity(str(found["Arn"]), str(found["Account"]))

    def simulate(self, principal: str, actions: Iterable[str], resource: str) -> dict[str, bool]:
        """Return whether the policies of `principal` (an ARN of this account) allow each action on `resource`.

        IAM looks at the identity's own policies, its boundary and those of the organisation; never at the policy of
        the resource. Attaching is asked for a policy of the portal's own and deleting for a role that it made, as that
        is all that is needed. Raises `AwsAccessDenied` for who may not ask.
        """
        account = self.session.access.account_id
        attached = f"arn:{principal.split(':')[1]}:iam::{account}:policy{MANAGED_POLICY_PATH}{MANAGED_POLICY_PREFIX}"
        context = {"iam:PolicyARN": attached, f"iam:ResourceTag/{MANAGED_TAG}": MANAGED_TAGS[MANAGED_TAG]}
        with translated(service="iam", operation="SimulatePrincipalPolicy", account=account, arn=principal):
            answer = self.session.iam.simulate_principal_policy(
                PolicySourceArn=principal,
                ActionNames=[*actions],
                ResourceArns=[resource],
                ContextEntries=[
                    {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
                    for key, value in context.items()
                ],
            )
        return {one["EvalActionName"]: one["EvalDecision"] == "allowed" for one in answer["EvaluationResults"]}

    def read_roles(self) -> None:
        """Read the first of the account's roles as the search for drift does. Raises an `AwsError`."""
        account = self.session.access.account_id
        with translated(service="iam", operation="GetAccountAuthorizationDetails", account=account):
            self.session.iam.get_account_authorization_details(Filter=["Role"], MaxItems=1)

    def trust_quota(self) -> int:
        """Return how many characters the account's quota lets a role's trust policy have. Raises an `AwsError`.

        IAM API, GetAccountSummary: AssumeRolePolicySizeQuota.
        """
        account = self.session.access.account_id
        with translated(service="iam", operation="GetAccountSummary", account=account):
            return self.session.iam.get_account_summary()["SummaryMap"]["AssumeRolePolicySizeQuota"]

    def _listen(self, client: Any) -> None:
        client.meta.events.register("response-received", self._heard)

    def _heard(self, response_dict: dict[str, Any] | None = None, **_: Any) -> None:
        headers = (response_dict or {}).get("headers") or {}
        date = _date(headers.get("Date", ""))
        if date is not None:
            self.skew = date - datetime.now(UTC)
        self.bucket_region = headers.get("x-amz-bucket-region", "") or self.bucket_region


def _date(text: str) -> datetime | None:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (TypeError, ValueError):
        return None
