"""What a curve is drawn along: a number of a cell by its path, and which cells differ in nothing else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any

from bench.errors import did_you_mean
from bench.results.records import CellInfo
from bench.results.wording import one_line
from bench.storage.keys import canonical_json, content_key

#: Numbers of the cell itself, and parts of it whose parameters have paths such as ``dataset.split_seed``.
_OWN, _PARTS = ("bits", "image_size"), ("dataset", "student", "method", "loss")
#: Numbers beyond it cannot be squared, and whole ones may be no float at all.
_LARGEST = 1e100
#: Path -> what it is to a reader, who may not know the parameter.
_WORDS = {
    "bits": "code length in bits",
    "image_size": "image size in pixels",
    "dataset.train_per_class": "labelled images a class",
    "dataset.database_per_class": "database images a class",
    "method.epochs": "epochs of step 1",
    "method.pool_fraction": "share of the images of step 1",
    "method.teacher_image_size": "image size of the teacher in pixels",
    "loss.epochs": "epochs of step 2",
}


def numbers(cell: CellInfo, params: Mapping[str, Any]) -> dict[str, float]:
    """Every number of a cell, by its path.

    Args:
        cell: where it stands in the grid; embeddings have no ``bits``, and sizes of two sides are no number.
        params: all parameters, as a record has them. Those of several teachers are ``teacher.X`` where all
            that have it agree.
    """
    found: dict[str, Any] = {name: getattr(cell, name) or None for name in _OWN}
    for part in _PARTS:
        found |= {f"{part}.{name}": value for name, value in params.get(part, {}).items()}
    for teacher in params.get("teachers", []):
        for name, value in teacher.items():
            path = f"teacher.{name}"
            found[path] = value if found.get(path, value) == value else None
    return {path: float(value) for path, value in found.items() if _is_number(value)}


def words(path: str) -> str:
    """What the number is, for a title."""
    return _WORDS.get(path, one_line(path))


def label(path: str) -> str:
    """The same with its path, for an axis."""
    return f"{_WORDS[path]} ({path})" if "." in path and path in _WORDS else words(path)


def in_words(value: float) -> str:
    """A value for tables and axes: ``5``, ``1,000``, ``0.05``."""
    return f"{value:,.10g}"


def without(cell: CellInfo, params: Mapping[str, Any], path: str) -> tuple[CellInfo, dict[str, Any]]:
    """Both as if the cell had no such number."""
    part, dot, name = path.partition(".")
    if not dot:
        return cell.model_copy(update={path: 0}), {key: params[key] for key in params if key != path}
    left = dict(params)
    if part == "teacher":
        left["teachers"] = [_less(teacher, name) for teacher in params.get("teachers", [])]
    elif part in params:
        left[part] = _less(params[part], name)
    return cell, left


def identity(cell: CellInfo, params: Mapping[str, Any], paths: Iterable[str]) -> str:
    """Equal for cells that differ in nothing but these numbers, seeds and conditions of accuracies."""
    left = dict(params)
    for path in paths:
        cell, left = without(cell, left, path)
    counted = {key: value for key, value in left.items() if key not in {"measure", "precision"}}
    return canonical_json([cell.model_dump(exclude={"seed", "protocol"}), counted])


def companions(
    path: str, cells: Iterable[tuple[CellInfo, Mapping[str, float], Hashable]]
) -> dict[tuple[str, Hashable], list[str]]:
    """Numbers that go along with another one: each of its values has one of them, and not all the same.

    Fewer labels are seen in more epochs, say: no two cells then differ in the number of labels alone, and yet
    they are one line, of which that must be said. Parameters of the data set go along on all lines or none.

    Args:
        path: of the other one.
        cells: each with its ``numbers``, and with what accuracies are found under.

    Returns:
        Their paths, by ``kind`` and conditions of cells.
    """
    kinds, data = defaultdict(list), defaultdict(list)
    for cell, found, conditions in cells:
        if path in found:
            kinds[kind(cell, path), conditions].append((cell.dataset, found))
            data[cell.dataset, conditions].append(found)
    of_data = {
        key: [one for one in _going_along(path, some) if _is_of_data(one)] for key, some in data.items()
    }
    return {
        (name, conditions): [
            *of_data[some[0][0], conditions],
            *(one for one in _going_along(path, [found for _, found in some]) if not _is_of_data(one)),
        ]
        for (name, conditions), some in kinds.items()
    }


def kind(cell: CellInfo, path: str) -> str:
    """Equal for cells that go by the same names, whatever their parameters."""
    cell, _ = without(cell, {}, path)
    return canonical_json(cell.model_dump(exclude={"seed", "protocol"}))


def _going_along(path: str, cells: Sequence[Mapping[str, float]]) -> list[str]:
    """Numbers that every one of the cells has, one at each value of ``path``, and not all the same."""
    everywhere = [other for other in cells[0] if all(other in found for found in cells)]
    return [other for other in everywhere if _may_go_along(other, path) and _goes_along(other, path, cells)]


def _may_go_along(other: str, path: str) -> bool:
    # Along anything but a parameter of the data set, a split stays one split.
    return other not in {path, *_OWN} and (not _is_of_data(other) or _is_of_data(path))


def _goes_along(other: str, path: str, cells: Iterable[Mapping[str, float]]) -> bool:
    pairs = {(found[path], found[other]) for found in cells}
    return len({value for value, _ in pairs}) == len(pairs) and len({number for _, number in pairs}) > 1


def _is_of_data(path: str) -> bool:
    return path.startswith("dataset.")


def judged_on(manifest: Mapping[str, Any]) -> dict[str, str]:
    """What must be equal in the manifests of two splits, so that accuracies are of the same images.

    Which classes are unseen says of what images those on each side are.
    """
    parts = {"queries": manifest.get("query"), "database": manifest.get("database")}
    if unseen := manifest.get("unseen_classes"):
        parts["unseen classes"] = unseen["classes"]
    digests = {name: content_key(part) for name, part in parts.items()}
    return {"images": str(manifest.get("images_sha256")), **digests}


def refusal(path: str, cells: Collection[Mapping[str, float]]) -> str:
    """Why nothing can be drawn along ``path``, and the cure; empty where something may be.

    Args:
        path: as the grid has it.
        cells: ``numbers`` of every cell.
    """
    values = {one[path] for one in cells if path in one}
    if len(values) > 1:
        return ""
    seen: dict[str, set[float]] = {}
    for one in cells:
        for name, value in one.items():
            seen.setdefault(name, set()).add(value)
    differing = [name for name, several in seen.items() if len(several) > 1]
    if not values:
        meant = next((name for name in (*differing, *seen) if name.partition(".")[2] == path), "")
        hint = f"; did you mean '{meant}'?" if meant else did_you_mean(path, [*differing, *seen])
        hint = hint or f"; {_choices(differing)}"
        return f"no cell has a number '{one_line(path)}'{hint}"
    only = "the only value of"
    return (
        f"{in_words(values.pop())} is {only} {one_line(path)}, and a curve takes two; {_choices(differing)}"
    )


def alone(path: str) -> str:
    """Why there is no curve where two values are never found of cells that are else the same."""
    return f"no two cells differ in {one_line(path)} alone; give them the same other parameters"


def _choices(names: Iterable[str]) -> str:
    listed = ", ".join(map(one_line, names))
    return f"what differs between cells: {listed}" if listed else "no number differs between cells"


def _less(values: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key != name}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST
