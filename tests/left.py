"""What a run in the working folder has left behind."""

from __future__ import annotations

from pathlib import Path

from bench.results.folder import load_results
from bench.results.records import Record


def loaded(folder: Path) -> list[Record]:
    return load_results(folder).records


def artifacts(folder: Path, kind: str) -> list[Path]:
    return sorted((folder / "cache" / kind).iterdir())
