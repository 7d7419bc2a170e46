"""The engine: desired from the database, observed from AWS, a plan between them, applied and recorded step by step.

Knows models, aws, policies and history; never tokens, never the surfaces above. Inner layers: docs/architecture.md.
"""
