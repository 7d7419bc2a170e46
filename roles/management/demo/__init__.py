"""The demo: its environment, its processes, its example world. Nothing of it runs in production."""
