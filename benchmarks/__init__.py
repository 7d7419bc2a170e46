"""Measurements that can be repeated. Each script says in its head what it measures and how to run it."""
