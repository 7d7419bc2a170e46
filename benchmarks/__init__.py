"""Measurements that can be repeated. Each script says in its head what it measures and how to run it."""

# Environment variables by which a script tells the portal's STS, which is a function (`server.py`), what to do.
CALLS_FILE = "XACCT_BENCHMARK_CALLS"  # where it notes each call
LIFE = "XACCT_BENCHMARK_LIFE"  # seconds that credentials live, instead of what was asked for
