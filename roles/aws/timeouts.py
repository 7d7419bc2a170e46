"""How long calls to AWS may take, in seconds. Without boto3, so that the system checks can compare at start-up."""

from __future__ import annotations

CONNECT_SECONDS = 5
READ_SECONDS = 20
CALL_SECONDS_MAX = CONNECT_SECONDS + READ_SECONDS
# What a run does between renewing a document's lease and AWS's answer: assume the provisioner role anew, and write.
WRITE_SECONDS_MAX = 2 * CALL_SECONDS_MAX
