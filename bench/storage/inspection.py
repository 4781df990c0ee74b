"""Whether the artifacts of a store are as they were written, for who asks of all of them at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.storage import sealed
from bench.storage.artifact_index import INDEX
from bench.storage.store import Store


@dataclass
class Inspection:
    """What was found of artifacts.

    Attributes:
        whole: how many are as they were written.
        unsealed: how many of those are of earlier versions, whose index has no digest of itself.
        faults: the others: folder, what is wrong, and the cure.
    """

    whole: int = 0
    unsealed: int = 0
    faults: list[str] = field(default_factory=list)


def is_store(folder: Path, kinds: Iterable[str]) -> bool:
    """Whether a folder holds artifacts of any of ``kinds``."""
    return any((folder / kind).is_dir() for kind in kinds)


def inspect(root: Path, kinds: Iterable[str]) -> Inspection:
    """Look at every artifact of these kinds below ``root``; nothing is changed.

    Raises:
        OSError: a folder cannot be listed.
    """
    found, store = Inspection(), Store(root)
    for kind in kinds:
        for folder in sorted((root / kind).iterdir()) if (root / kind).is_dir() else ():
            if folder.name.startswith("."):  # on its way, or left on it
                continue
            if store.intact(folder) is None:
                found.faults.append(f"{folder}: damaged or incomplete; a run that needs it makes it anew")
            else:
                found.whole += 1
                found.unsealed += sealed.state((folder / INDEX).read_bytes()) == "unsealed"
    return found
