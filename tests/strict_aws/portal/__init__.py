"""The portal's own access tests once more, on the strict AWS: the same scenarios, only the endpoint is another."""
