"""Pages for members and auditors. Parses and shows; operations, tokens and history do the work."""
