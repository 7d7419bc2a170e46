"""The history: recording events in the caller's transaction, reading them back, exporting and verifying them.

Knows models, permissions and the request context; never AWS, never the engine or the broker above it.
"""
