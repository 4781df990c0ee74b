"""Builders that many teachers and students share."""
