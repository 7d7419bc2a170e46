"""The admin: one module a model, over Unfold. Parses and shows; operations decide and write."""
