"""The portal's one Django app. Rooms and their directions: docs/architecture.md."""
