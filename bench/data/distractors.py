"""Images that answer no query and make search harder, as the million of Revisited Oxford and Paris.

    <root>/revisitop1m/jpg/<folder>/<name>.jpg      named by a folder, ``revisitop1m`` or ``revisitop1m/jpg``
    <root>/revisitop1m/revisitop1m.txt              or by a list of paths, a line each

Paths in a list are relative to the folder ``jpg`` beside it, as published, or to its own where there is none.
"""

from __future__ import annotations

import os
from pathlib import Path

from bench.data.finding import Finder
from bench.data.list_text import quoted, read_lines
from bench.errors import DataError, MissingDataError


def distractors(place: Path, finder: Finder) -> list[Path]:
    """Their files, in one order on every machine; whether those of a list are there shows when they are read.

    Args:
        place: a folder or a list.
        finder: looks through the folder.

    Raises:
        MissingDataError: there is neither.
        DataError: the folder holds no image, or the list names none, one twice, or one outside of its folder.
    """
    if place.is_file():
        return _listed(place)
    if not place.is_dir():
        raise MissingDataError(
            f"the distractors are not in {place}; put them there, or name their folder or list in "
            "distractors, relative to the data root"
        )
    if not (files := finder.images(place)):
        raise DataError(f"no images in {place}; correct distractors")
    return files


def _listed(path: Path) -> list[Path]:
    published = path.parent / "jpg"
    folder = os.fspath(published if published.is_dir() else path.parent)
    found: dict[str, None] = {}
    for number, name in enumerate(read_lines(path), 1):
        if not name:
            continue
        inside = os.path.normpath(name)
        if os.path.isabs(inside) or inside.split(os.sep)[0] == os.pardir:
            raise DataError(f"{path}:{number}: {quoted(name)} leads out of {folder}; correct the list")
        if inside in found:
            raise DataError(f"{path}:{number}: {quoted(name)} is there twice; take one out")
        found[inside] = None
    if not found:
        raise DataError(f"{path}: a list without a line; name the distractors in it, a path a line")
    return [Path(folder, name) for name in found]
