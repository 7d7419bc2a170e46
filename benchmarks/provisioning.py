"""What provisioning costs in AWS calls and time: this engine, a straight boto3 script, and Ansible's amazon.aws.

    make bench BENCH_POSTGRES_URL=postgres://user:password@127.0.0.1:5432 BENCH_REDIS_URL=redis://127.0.0.1:6379
    .venv/bin/python -m benchmarks.provisioning --postgres postgres://user:password@127.0.0.1:5432 --redis redis://127.0.0.1:6379

One table, one run. AWS is the sandbox (MiniStack) on loopback, which answers each call 50 ms late and notes it. Its
policies are not enforced here, which the tests see to; its own work is part of every row. The engine's runs in (c) are
done by Celery workers of the portal's production settings, 2 processes with 16 threads each, on PostgreSQL and Redis.
Databases 11 and 12 of that Redis are EMPTIED.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.tokens import database_on, free_port, say

if TYPE_CHECKING:
    from benchmarks.boto3_procedure import Names
    from roles.models import AwsAccount

DELAY_MS = 50
WORKERS, THREADS = 2, 16
ACCOUNTS, MAPPINGS = 10, 100
SCANNED_ACCOUNTS, SCANNED_ROLES = 100, 10_000
SAMPLED_ACCOUNTS = 2  # of those, for who reads role by role
ANSIBLE_MAPPINGS = 5  # of the hundred
PATIENCE_SECONDS = 600
ROOT = Path(__file__).resolve().parents[1]
WRITES = ("Create", "Put", "Update", "Add", "Attach", "Delete", "Detach", "PUT", "DELETE")

Call = tuple[float, str, str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """What one way took for one task. `share` is the part of the task that was done; the table says so."""

    who: str
    task: str
    calls: list[Call]
    seconds: float
    share: float = 1.0

    @property
    def writes(self) -> int:
        """How many of the calls write."""
        return sum(operation.startswith(WRITES) for *_, operation in self.calls)


class SlowAws:
    """The sandbox, started, with what it is told beside AWS's own calls."""

    def __init__(self, port: int) -> None:
        self.endpoint_url = f"http://127.0.0.1:{port}"

    def ask(self, what: str, told: Any = None) -> Any:
        """Tell it something and return what it answers."""
        body = json.dumps(told).encode()
        with urllib.request.urlopen(f"{self.endpoint_url}/_bench/{what}", data=body, timeout=300) as answer:  # noqa: S310
            return json.load(answer)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Answer without delay inside the block, and forget its calls."""
        self.ask("delay", 0)
        yield
        self.ask("delay", DELAY_MS)
        self.ask("calls")

    def measure(self, who: str, task: str, do: Callable[[], object], *, share: float = 1.0) -> Row:
        """Do it, and return what it took."""
        self.ask("calls")
        began = time.monotonic()
        do()
        seconds = time.monotonic() - began
        row = Row(who, task, [tuple(call) for call in self.ask("calls")], seconds, share)
        say(f"{who}, {task}: {len(row.calls)} calls, {row.writes} of them write, {seconds:.2f} s")
        return row


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="Measure the provisioning engine beside a script and Ansible.")
    parser.add_argument("--postgres", required=True, help="a server to make a database on")
    parser.add_argument("--redis", required=True, help="a Redis whose databases 11 and 12 may be emptied")
    parser.add_argument("--rate", type=float, default=40.0, help="XACCT_ACCOUNT_CALLS_PER_SECOND of the workers")
    parser.add_argument("--only", default="abcd", help="which tasks, e.g. c")
    parser.add_argument("--no-ansible", action="store_true", help="leave Ansible out")
    chosen = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="xacct-benchmark-")))
        database = stack.enter_context(database_on(chosen.postgres, folder))
        aws = stack.enter_context(_sandbox(folder))
        os.environ.update(_environment(folder, database, chosen.redis, aws.endpoint_url, chosen.rate))
        import django  # noqa: PLC0415  # the environment comes first

        django.setup()
        from django.core.management import call_command  # noqa: PLC0415

        call_command("migrate", verbosity=0)
        say(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before; {DELAY_MS} ms before each answer")
        rows = sorted(_rows(aws, folder, chosen), key=lambda row: row.task)
        say(f"load {os.getloadavg()[0]:.1f} after")
        _print(rows, chosen.rate)


def _environment(folder: Path, database: str, redis: str, endpoint_url: str, rate: float) -> dict[str, str]:
    return {
        "DJANGO_SETTINGS_MODULE": "xacct_portal.settings",
        "XACCT_ENV_FILE": os.devnull,
        "XACCT_DATA_DIR": str(folder),
        "SECRET_KEY": secrets.token_urlsafe(64),
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": database,
        "CACHE_URL": f"{redis}/11",
        "CELERY_BROKER_URL": f"{redis}/12",
        "LOG_LEVEL": "WARNING",
        "XACCT_AWS_ENDPOINT_URL": endpoint_url,
        "XACCT_PORTAL_PRINCIPALS": "arn:aws:iam::111111111111:root",
        "XACCT_ACCOUNT_CALLS_PER_SECOND": str(rate),
        "AWS_ACCESS_KEY_ID": "111111111111",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@contextlib.contextmanager
def _sandbox(folder: Path) -> Iterator[SlowAws]:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "SFTP_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
    }
    command = [str(ROOT / ".venv-sandbox/bin/python"), "-m", "benchmarks.slow_aws"]
    with (folder / "sandbox.log").open("wb") as log, _running(command, environment, log):
        aws, until = SlowAws(port), time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                aws.ask("calls")
                break
            time.sleep(0.1)
        yield aws


@contextlib.contextmanager
def _running(command: list[str], environment: dict[str, str], log: Any) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)  # noqa: S603
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=60)


def _rows(aws: SlowAws, folder: Path, chosen: argparse.Namespace) -> Iterator[Row]:
    from benchmarks import estates  # noqa: PLC0415

    accounts = estates.new_accounts(ACCOUNTS, 900_000_000_000)
    with aws.at_once():
        aws.ask("seed", estates.provisioners(accounts))
    if "d" in chosen.only:  # first: what the others enter would be compared too
        yield from _scan(aws)
    if set("ab") & set(chosen.only):
        yield from _one_mapping(aws, accounts, with_ansible=not chosen.no_ansible, folder=folder)
    if "c" in chosen.only:
        yield from _hundred_mappings(aws, accounts, with_ansible=not chosen.no_ansible, folder=folder)


def _one_mapping(aws: SlowAws, accounts: list[AwsAccount], *, with_ansible: bool, folder: Path) -> Iterator[Row]:
    from benchmarks import estates  # noqa: PLC0415

    engine, script, condensed, ansible = (
        estates.names_of(accounts, 1, prefix) for prefix in ("OneE", "OneS", "OneC", "OneN")
    )
    with aws.at_once():
        estates.make_buckets(aws.endpoint_url, [*engine, *script, *condensed, *ansible])
    mapping = estates.enter(accounts, engine)[0]
    for task in ("(a) one new mapping", "(b) the same again"):
        yield aws.measure("engine", task, partial(_reconcile, mapping))
        yield aws.measure("boto3 script", task, partial(_script, aws, script))
        yield aws.measure("the same, condensed", task, partial(_script, aws, condensed, condensed=True))
        if with_ansible:
            yield aws.measure("amazon.aws", task, partial(_ansible, aws, ansible, folder))


def _reconcile(mapping: Any) -> None:
    """Do one run, in a worker that has just been started."""
    from roles.aws import sessions, sts  # noqa: PLC0415
    from roles.provisioning import runner  # noqa: PLC0415

    sessions.forget_sessions()
    sts.caller_arn.cache_clear()
    run = _queued(mapping)
    runner.reconcile(run.pk)
    run.refresh_from_db()
    if run.status != "in_sync":
        raise SystemExit(f"The run ended {run.status}: {run.error}")


def _queued(mapping: Any) -> Any:
    from roles.models import ProvisioningRun  # noqa: PLC0415

    return ProvisioningRun.objects.create(
        role=mapping.role, mapping=mapping, trigger="mapping.added", requested_by_name="bench", request_id="bench"
    )


def _script(aws: SlowAws, names: list[Names], *, condensed: bool = False) -> None:
    from benchmarks import estates  # noqa: PLC0415
    from benchmarks.boto3_procedure import Procedure  # noqa: PLC0415

    script = Procedure(partial(estates.client, aws.endpoint_url), estates.PROVISIONER, condensed=condensed)
    for one in names:
        script.provision(one)


def _ansible(aws: SlowAws, names: list[Names], folder: Path) -> None:
    given = {
        "mappings": [asdict(one) for one in names],
        "endpoint": aws.endpoint_url,
        "provisioner": "xacct-provisioner",
    }
    variables = folder / "variables.json"
    variables.write_text(json.dumps(given))
    python = ROOT / ".venv-benchmarks/bin"
    command = [str(python / "ansible-playbook"), "-i", "localhost,", "-e", f"@{variables}", "benchmarks/playbook.yml"]
    command += ["-e", f"ansible_python_interpreter={python / 'python'}"]
    environment = {**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false", "HOME": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"Ansible failed:\n{done.stdout[-3000:]}\n{done.stderr[-2000:]}")


def _hundred_mappings(aws: SlowAws, accounts: list[AwsAccount], *, with_ansible: bool, folder: Path) -> Iterator[Row]:
    from benchmarks import estates  # noqa: PLC0415

    task = f"(c) {MAPPINGS} mappings over {ACCOUNTS} accounts"
    engine, script, condensed, ansible = (
        estates.names_of(accounts, number, prefix)
        for number, prefix in ((MAPPINGS, "E"), (MAPPINGS, "S"), (MAPPINGS, "C"), (ANSIBLE_MAPPINGS, "N"))
    )
    with aws.at_once():
        estates.make_buckets(aws.endpoint_url, [*engine, *script, *condensed, *ansible])
    mappings = estates.enter(accounts, engine)
    with _workers(folder):
        yield aws.measure("engine", task, partial(_run_all, mappings))
    yield aws.measure("boto3 script", task, partial(_script, aws, script))
    yield aws.measure("the same, condensed", task, partial(_script, aws, condensed, condensed=True))
    if with_ansible:
        share = ANSIBLE_MAPPINGS / MAPPINGS
        yield aws.measure("amazon.aws", task, partial(_ansible, aws, ansible, folder), share=share)


@contextlib.contextmanager
def _workers(folder: Path) -> Iterator[None]:
    """Run the workers, and go on once all of them answer."""
    from celery import current_app  # noqa: PLC0415

    from xacct_portal.celery import app  # noqa: PLC0415

    app.set_default()
    with contextlib.ExitStack() as stack:
        for number in range(WORKERS):
            log = stack.enter_context((folder / f"worker-{number}.log").open("wb"))
            command = [sys.executable, "-m", "celery", "-A", "xacct_portal", "worker", "--pool", "threads"]
            command += ["--concurrency", str(THREADS), "--loglevel", "WARNING", "-n", f"bench{number}@%h"]
            stack.enter_context(_running(command, dict(os.environ), log))
        until = time.monotonic() + PATIENCE_SECONDS
        while len(current_app.control.ping(timeout=1.0)) < WORKERS:
            if time.monotonic() > until:
                raise SystemExit("The workers did not start.")
        yield


def _run_all(mappings: list[Any]) -> None:
    """Queue a run of each mapping as the portal does, and wait until all have ended."""
    from roles.models import ProvisioningRun  # noqa: PLC0415
    from roles.provisioning import outbox  # noqa: PLC0415

    runs = [_queued(mapping).pk for mapping in mappings]
    for pk in runs:
        outbox.send(pk)
    until = time.monotonic() + PATIENCE_SECONDS
    while ProvisioningRun.objects.unfinished().filter(pk__in=runs).exists() and time.monotonic() < until:
        time.sleep(0.2)
    ended = Counter(ProvisioningRun.objects.filter(pk__in=runs).values_list("status", "error"))
    if ended.keys() != {("in_sync", "")}:
        raise SystemExit(f"The runs ended {ended}")


def _scan(aws: SlowAws) -> Iterator[Row]:
    from benchmarks import estates  # noqa: PLC0415
    from benchmarks.boto3_procedure import compare  # noqa: PLC0415

    task = f"(d) drift scan, {SCANNED_ROLES:,} roles in {SCANNED_ACCOUNTS} accounts"
    accounts = estates.new_accounts(SCANNED_ACCOUNTS, 910_000_000_000)
    with aws.at_once():
        names = estates.enter_many(accounts, SCANNED_ROLES // SCANNED_ACCOUNTS)
        refused = aws.ask("seed", [*estates.provisioners(accounts), *estates.as_wished(aws.endpoint_url, accounts)])
        if refused:
            raise SystemExit(f"The sandbox refused {len(refused)} seeds.")
    yield aws.measure("engine", task, _compare)
    sampled = {account.account_id for account in accounts[:SAMPLED_ACCOUNTS]}
    some = [one for one in names if one.account_a in sampled]
    read = partial(compare, partial(estates.client, aws.endpoint_url), estates.PROVISIONER, some)
    yield aws.measure("boto3 script", task, read, share=SAMPLED_ACCOUNTS / SCANNED_ACCOUNTS)


def _compare() -> None:
    from django.db import connection  # noqa: PLC0415
    from django.test.utils import CaptureQueriesContext  # noqa: PLC0415

    from roles.provisioning import drift  # noqa: PLC0415

    with CaptureQueriesContext(connection) as queries:
        report = drift.compare()
    say(f"  compared {len(report.compared)} parts, {len(report.differences)} differ; {len(queries)} queries")
    if report.unread:
        raise SystemExit(f"Not read: {report.unread[:3]}")


def _print(rows: list[Row], rate: float) -> None:
    say("")
    say("| task | who | AWS calls | of them writes | seconds | script's speed | most calls of an account in 1 s; 5 s |")
    say("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    scripts = {row.task: row.seconds / row.share for row in rows if row.who == "boto3 script"}
    for row in rows:
        of_script = scripts[row.task] / (row.seconds / row.share) if row.task in scripts else 0.0
        most = "; ".join(str(_most(row.calls, span)) for span in (1.0, 5.0))
        part = "" if row.share == 1 else f" ({row.share:.0%} of it)"
        cells = (row.task, f"{row.who}{part}", str(len(row.calls)), str(row.writes), f"{row.seconds:.2f}")
        say("| " + " | ".join((*cells, f"{of_script:.1f} x", most)) + " |")
    say(f"\nThe engine's rate is set to {rate:g} calls a second in each account.")
    for row in rows:
        if row.task.startswith(("(a)", "(b)")):
            named = Counter(operation for *_, operation in row.calls)
            say(f"{row.task}, {row.who}: " + ", ".join(f"{count} {name}" for name, count in sorted(named.items())))


def _most(calls: list[Call], span: float) -> int:
    """Return the most calls about one account in any span of so many seconds."""
    moments: dict[str, list[float]] = defaultdict(list)
    for moment, account, *_ in calls:
        moments[account].append(moment)
    found = 0
    for times in moments.values():
        first = 0
        for last, moment in enumerate(times):
            while times[first] < moment - span:
                first += 1
            found = max(found, last - first + 1)
    return found


if __name__ == "__main__":
    main()
