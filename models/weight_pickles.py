"""The pickles in a file of ``torch.save``, looked through before torch reads them and hashes every key."""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import IO, Any

#: Parts that a tuple may unfold to, and bytes of the pickle of a state dict; a shape has a few.
PARTS, LARGEST = 1_000, 10**8
#: In files from before torch 1.6, which are no archives, the state dict is the fourth pickle.
_PICKLES = 5


def unfolds(path: Path) -> bool:
    """Whether tuples in it, which share their parts, stand for more than anybody can go through.

    Raises:
        Exception: of any kind, where it is damaged.
    """
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            return any(_unfolds(file) for _ in range(_PICKLES))
        with zipfile.ZipFile(file) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".pkl")]
            if any(entry.file_size > LARGEST for entry in entries):
                return True
            for entry in entries:
                with archive.open(entry) as pickled:
                    if _unfolds(pickled):
                        return True
    return False


def _unfolds(file: IO[bytes]) -> bool:
    """The same of one pickle; of what is on its stack nothing is kept but how many parts it has."""
    stack: list[int | None] = []  # None is a mark
    memo: dict[Any, int | None] = {}
    for opcode, argument, _ in pickletools.genops(file):
        if "PUT" in opcode.name or opcode.name == "MEMOIZE":
            memo[len(memo) if argument is None else argument] = stack[-1]
        elif "GET" in opcode.name:
            stack.append(memo[argument])
        elif opcode.name == "MARK":
            stack.append(None)
        else:
            taken, wanted = [], list(opcode.stack_before)
            if pickletools.stackslice in wanted:
                while (item := stack.pop()) is not None:
                    taken.append(item)
                wanted = wanted[: wanted.index(pickletools.markobject)]
            taken += [stack.pop() or 0 for _ in wanted]
            parts = 1 + sum(taken) if "TUPLE" in opcode.name or opcode.name == "DUP" else 1
            if parts > PARTS:
                return True
            stack += [parts] * len(opcode.stack_after)
    return False
