"""`python -m tests.strict_aws --port 4700 --sandbox-port 4600`: a strict AWS before a MiniStack that is running."""

from __future__ import annotations

import argparse
import signal
import sys
import threading

from moto import mock_aws

from tests.strict_aws.http_front import HttpFront, over_sandbox
from tests.strict_aws.layer.core import StrictAws
from tests.strict_aws.layer.faults import Kind
from tests.strict_aws.moto_front import over_moto


def main(arguments: list[str] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Prints one line once it answers."""
    parser = argparse.ArgumentParser(prog="python -m tests.strict_aws", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="the port to listen on, on loopback (default: a free one)")
    parser.add_argument(
        "--sandbox-port",
        type=int,
        help="MiniStack's port on loopback; without it, moto in this process keeps the state",
    )
    parser.add_argument("--propagation", type=float, default=0.0, help="seconds in which new roles are unknown")
    parser.add_argument("--fault-rate", type=float, default=0.0, help="share of calls that a fault strikes, 0 to 1")
    parser.add_argument("--faults", nargs="*", type=Kind, default=[], choices=list(Kind), help="which (default: all)")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds that a call hangs which times out")
    parser.add_argument("--account", action="append", default=[], help="an account that exists already")
    options = parser.parse_args(arguments)
    front = HttpFront(_layer(options), port=options.port, timeout_seconds=options.timeout)
    for account in options.account:
        front.strict.world.saw_account(account)
    if options.fault_rate:
        front.strict.faults.at_rate(options.fault_rate, *options.faults)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with front:
        sys.stdout.write(f"A strict AWS answers at {front.endpoint_url}\n")
        sys.stdout.flush()
        stop.wait()


def _layer(options: argparse.Namespace) -> StrictAws:
    if options.sandbox_port:
        return over_sandbox(options.sandbox_port, propagation_seconds=options.propagation)
    mock_aws().start()
    return over_moto(propagation_seconds=options.propagation)


if __name__ == "__main__":
    main()
