"""The command line: one file a verb, joined by ``app``."""

from bench.cli.app import main

__all__ = ["main"]
