"""Artifacts on disk: written at once or not at all, found again by what they were made from."""
