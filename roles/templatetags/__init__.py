"""Template tags: badges, diffs, durations."""
