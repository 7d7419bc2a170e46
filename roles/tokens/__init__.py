"""The token broker: what a user may have now, the cached credentials for it, and forgetting them in time.

Knows models, permissions, policies, aws and history; never the engine, never the surfaces above.
"""
