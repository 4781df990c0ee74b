"""Images, labels and splits: read from files, never executed, with a manifest of what was read."""
