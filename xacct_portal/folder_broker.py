"""The embedded broker: kombu's folder of messages, where a message is there as a whole or not at all.

Kombu 5.7 opens the file under its final name and writes into it then. A worker that looks in between takes an empty
file, fails to parse it and ends (`kombu.transport.filesystem`, `Channel._put` and `Channel._get`).
"""

from __future__ import annotations

from pathlib import Path
from time import monotonic_ns
from typing import Any
from uuid import uuid4

from kombu.exceptions import ChannelError
from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps


class Channel(filesystem.Channel):
    """Writes a message beside its place and moves it there."""

    # Kombu's own classes do not agree on the name of the second argument; it is passed by position.
    def _put(self, queue: Any, message: Any, **kwargs: Any) -> None:  # type: ignore[override]
        folder = Path(self.data_folder_out)
        unfinished = folder / f".{uuid4()}.part"  # no name that `_get` takes for a message
        try:
            text: str = dumps(message)  # type: ignore[no-untyped-call]
            unfinished.write_text(text, encoding="utf-8")
            unfinished.rename(folder / f"{monotonic_ns():020d}_{uuid4()}.{queue}.msg")
        except OSError as error:
            raise ChannelError(f"Cannot put a message into {folder}") from error


class Transport(filesystem.Transport):
    """Kombu's, with our channel."""

    Channel = Channel


def use() -> None:
    """Make `filesystem://` mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:Transport"
