"""Results folders that verbs are tried on."""

from tests.comparison.conftest import baseline, run_folder

__all__ = ["baseline", "run_folder"]
