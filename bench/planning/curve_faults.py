"""What is wrong with the curves that a grid asks for, as far as its cells tell before anything is run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from bench.planning.grid_faults import Fault
from bench.planning.plan import Cell
from bench.results import along, catalogue
from bench.storage.keys import canonical_json, file_name


def curve_faults(
    curves: Sequence[Sequence[str]], cells: Sequence[Cell], manifests: Mapping[str, Mapping[str, Any]]
) -> Iterator[Fault]:
    """Place and plain words of each.

    Args:
        curves: pairs of an accuracy and what it is drawn along.
        cells: all of the grid.
        manifests: of the splits that are known, by the names of their files.
    """
    numbers = [along.numbers(cell.info, cell.params) for cell in cells] if curves else []
    for i, (accuracy, path) in enumerate(curves):
        known = catalogue.entry(accuracy)
        if known is not None and known.role != "accuracy":
            yield ("report", "curves", i, 0), f"'{accuracy}' is no accuracy; write the accuracy first"
        refusal = along.refusal(path, numbers)
        if refusal or (refusal := _never_joined(path, zip(cells, numbers, strict=True), manifests)):
            yield ("report", "curves", i, 1), refusal


def _never_joined(
    path: str,
    cells: Iterable[tuple[Cell, Mapping[str, float]]],
    manifests: Mapping[str, Mapping[str, Any]],
) -> str:
    """Why no two cells can stand on one line; empty where some can."""
    of_data = path.startswith("dataset.")
    some = [
        (cell, numbers, _images(cell, manifests) if of_data else canonical_json(cell.info.protocol))
        for cell, numbers in cells
        if path in numbers
    ]
    others = along.companions(path, [(cell.info, numbers, images) for cell, numbers, images in some])
    lines: dict[str, dict[str, set[float]]] = defaultdict(lambda: defaultdict(set))
    for cell, numbers, images in some:
        paths = [path, *others[along.kind(cell.info, path), images]]
        lines[along.identity(cell.info, cell.params, paths)][images].add(numbers[path])
    if any(len(values) > 1 for found in lines.values() for values in found.values()):
        return ""
    if of_data and any(len(found) > 1 for found in lines.values()):
        what = "unseen classes" if path == "dataset.unseen_classes" else "queries or database"
        return (
            f"with {path} {what} become others, and accuracies on other images do not compare; "
            "only what leaves both as they are can be drawn along, such as dataset.train_per_class"
        )
    return along.alone(path)


def _images(cell: Cell, manifests: Mapping[str, Mapping[str, Any]]) -> str:
    """What a cell is judged on, as far as anybody knows."""
    protocol = cell.info.protocol
    manifest = manifests.get(file_name(str(protocol.get("split")), str(protocol.get("manifest"))))
    return str(along.judged_on(manifest)) if manifest else ""
