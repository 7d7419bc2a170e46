from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from celery import current_app
from kombu import Connection
from kombu.exceptions import ChannelError
from kombu.transport.virtual import Channel

from xacct_portal import folder_broker


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    (tmp_path / "control").mkdir()
    folders = {
        "data_folder_in": str(tmp_path),
        "data_folder_out": str(tmp_path),
        "control_folder": f"{tmp_path}/control",
    }
    return Connection("filesystem://", transport_options=folders).channel()


def test_worker_never_sees_half_a_message(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    whole: Callable[[Any], str] = folder_broker.dumps
    looks = []

    def while_it_is_written(payload: Any) -> str:
        with pytest.raises(Empty):
            channel._get("celery")
        looks.append(payload)
        return whole(payload)

    monkeypatch.setattr(folder_broker, "dumps", while_it_is_written)
    channel._put("celery", {"run": 7})
    assert looks == [{"run": 7}]
    assert channel._get("celery") == {"run": 7}


def test_unfinished_message_of_a_process_that_died_is_passed_over(channel: Channel, tmp_path: Path) -> None:
    (tmp_path / ".0000.part").write_text('{"run":')
    with pytest.raises(Empty):
        channel._get("celery")


def test_messages_are_taken_once_in_their_order_and_by_queue(channel: Channel) -> None:
    for queue, number in (("celery", 1), ("other", 2), ("celery", 3)):
        channel._put(queue, {"run": number})
    assert [channel._get("celery")["run"] for _ in range(2)] == [1, 3]
    with pytest.raises(Empty):
        channel._get("celery")
    assert channel._get("other") == {"run": 2}


def test_folder_that_cannot_be_written_is_a_broker_that_fails(channel: Channel, tmp_path: Path) -> None:
    (tmp_path / "control").rmdir()
    tmp_path.rmdir()
    with pytest.raises(ChannelError):
        channel._put("celery", {"run": 1})


def test_celery_uses_it() -> None:
    with current_app.connection_for_write("filesystem://") as connection:
        assert connection.get_transport_cls() is folder_broker.Transport
