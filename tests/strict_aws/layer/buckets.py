"""The emulator's buckets: who owns which, and their policies."""

from __future__ import annotations

import json
import threading
from typing import Any

from tests.strict_aws.layer.root import RootApi, parsed
from tests.strict_aws.layer.stored import concealed_bucket_policy, revealed
from tests.strict_aws.layer.world import World


class Buckets:
    """Every bucket of every account. A bucket's name belongs to one account at a time, whoever asks.

    `conceal`: the emulator judges bucket policies by itself, so it is not shown the real ones.
    """

    def __init__(self, root: RootApi, world: World, *, conceal: bool) -> None:
        self._root = root
        self._world = world
        self.conceal = conceal
        self._owners: dict[str, str] = {}
        self._lock = threading.Lock()

    def owner(self, bucket: str) -> str | None:
        """Return the account that owns a bucket, or None when nobody does."""
        with self._lock:
            known = self._owners.get(bucket)
        likely = [known] if known else []
        for account in (*likely, *(account for account in self._world.accounts if account != known)):
            if bucket in self.names(account) if account != known else self._is_still_of(bucket, account):
                with self._lock:
                    self._owners[bucket] = account
                return account
        return None

    def _is_still_of(self, bucket: str, account: str) -> bool:
        return self._root.s3(account, "HEAD", bucket).ok

    def names(self, account: str) -> list[str]:
        """Return the names of an account's buckets."""
        answer = parsed(self._root.s3(account, "GET", ""))
        return [item.text or "" for item in answer.findall(".//Bucket/Name")] if answer is not None else []

    def policy(self, bucket: str, account: str) -> dict[str, Any] | None:
        """Return a bucket's policy, or None when it has none."""
        answer = self._root.s3(account, "GET", bucket, "policy")
        if not answer.ok:
            return None
        return revealed(answer.text)

    def set_policy(self, bucket: str, account: str, document: dict[str, Any]) -> None:
        """Replace a bucket's policy, as the emulator is to see it."""
        kept = concealed_bucket_policy(document) if self.conceal else json.dumps(document)
        self._root.s3(account, "PUT", bucket, "policy", kept.encode())

    def blocks(self, bucket: str, account: str, setting: str) -> bool:
        """Whether Block Public Access of a bucket has `setting` on."""
        answer = parsed(self._root.s3(account, "GET", bucket, "publicAccessBlock"))
        return answer is not None and (answer.findtext(f".//{setting}") or "").lower() == "true"

    def forget(self) -> None:
        """Begin again, as the emulator did."""
        with self._lock:
            self._owners.clear()
