"""The AWS console, opened with temporary credentials: a sign-in token from AWS's federation endpoint.

IAM User Guide, "Enable custom identity broker access to the AWS console". The credentials are chained, so no
SessionDuration is sent: with one, the endpoint refuses them; without, the console lasts as long as they do.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from botocore.awsrequest import AWSRequest
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies
from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from roles.aws.errors import translated
from roles.errors import AwsAccessDenied, TokenUnavailable
from roles.values.accounts import Partition
from roles.values.credentials import Credentials

TIMEOUT_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Console:
    """Where a partition's console and its federation endpoint are."""

    federation: str
    home: str


CONSOLES = {
    Partition.AWS: Console("https://signin.aws.amazon.com/federation", "https://console.aws.amazon.com"),
    Partition.AWS_CN: Console("https://signin.amazonaws.cn/federation", "https://console.amazonaws.cn"),
    Partition.AWS_US_GOV: Console(
        "https://signin.amazonaws-us-gov.com/federation", "https://console.amazonaws-us-gov.com"
    ),
}


def is_available() -> bool:
    """Return whether there is a console: a sandbox has none, and AWS's own does not know a sandbox's credentials."""
    return not settings.XACCT_AWS_ENDPOINT_URL


@sensitive_variables()
def sign_in_address(
    credentials: Credentials, *, partition: Partition, bucket: str, region: str, prefix: str, issuer: str
) -> str:
    """Return an address that signs a browser in and shows the bucket. It is a secret, good for 15 minutes.

    `issuer` is where AWS sends people when the console's session is over. Raises `TokenUnavailable` in a sandbox and
    an `AwsError` when AWS refuses or does not answer.
    """
    if not is_available():
        raise TokenUnavailable(
            "This portal works with an AWS sandbox, which has no console.", hint="Use Browse or your own tools."
        )
    console = CONSOLES[partition]
    token = _sign_in_token(console, credentials)
    place = urlencode({"region": region, **({"prefix": prefix} if prefix else {})})
    destination = f"{console.home}/s3/buckets/{quote(bucket, safe='')}?{place}"
    query = {"Action": "login", "Issuer": issuer, "Destination": destination, "SigninToken": token}
    return f"{console.federation}?{urlencode(query)}"


@sensitive_variables()
def _sign_in_token(console: Console, credentials: Credentials) -> str:
    """Exchange the credentials for a sign-in token. In the body of a POST: addresses end up in the logs of proxies."""
    session = {
        "sessionId": credentials.access_key_id,
        "sessionKey": credentials.secret_access_key,
        "sessionToken": credentials.session_token,
    }
    request = AWSRequest(
        method="POST",
        url=console.federation,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        data=urlencode({"Action": "getSigninToken", "Session": json.dumps(session)}).encode(),
    )
    http = URLLib3Session(timeout=TIMEOUT_SECONDS, proxies=get_environ_proxies(console.federation))
    with translated(service="signin", operation="getSigninToken"):
        answer = http.send(request.prepare())
    try:
        if answer.status_code == 200:  # noqa: PLR2004 (HTTP's OK)
            return str(json.loads(answer.content)["SigninToken"])
    except (ValueError, KeyError):
        pass
    raise AwsAccessDenied(
        "AWS did not open the console for this access.",
        hint="Get credentials again; if it stays so, tell a portal admin.",
        service="signin",
        operation="getSigninToken",
        aws_code=str(answer.status_code),
    )
