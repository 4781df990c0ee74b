"""Why nothing that was measured elsewhere has a counterpart among the cells of a run, and what would help."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from bench.comparison.choosing import choose
from bench.results import commands
from bench.results.comparable import limited
from bench.results.folder import Results
from bench.results.names import Names
from bench.results.records import EXTERNAL, Record
from bench.results.wording import one_line


def no_counterpart(
    base: Results, new: Results, base_only: Mapping[str, str], new_only: Mapping[str, str]
) -> str:
    """The first thing that no cell of either side shares with what was measured elsewhere on the other.

    Returns:
        What each side has, and the cure; empty where nothing of what pairs them is in the way.
    """
    chosen = [
        [record for record in choose(results, Names(results.records), only) if record.finished]
        for results, only in ((base, base_only), (new, new_only))
    ]
    left = [(a, b) for a, b in itertools.product(*chosen) if (a.status == EXTERNAL) != (b.status == EXTERNAL)]
    for key, sentence in (("dataset", _other_data), ("bits", _other_lengths), ("seed", _other_seeds)):
        # A seed is free where both sides name one, all else where either does.
        named = base_only.keys() & new_only.keys() if key == "seed" else base_only.keys() | new_only.keys()
        if key in named and base_only.get(key) != new_only.get(key):
            continue
        same = [(a, b) for a, b in left if getattr(a.cell, key) == getattr(b.cell, key)]
        if left and not same:
            cure = judge_again(base, new) if key == "dataset" else ""
            return "; ".join(filter(None, [sentence(left), cure]))
        left = same
    return ""


def judge_again(base: Results, new: Results) -> str:
    """How codes come to stand beside the cells of the other side; empty beside limited ones: none may."""
    for mine, other in ((base, new), (new, base)):
        external = next((record for record in mine.records if record.status == EXTERNAL), None)
        cells = [record for record in other.records if record.status != EXTERNAL]
        if external and cells and not any(limited(record.cell.protocol) for record in cells):
            command = commands.evaluate_like(mine.folder, external.cell.student, other.folder)
            return f"if the images are the same, have the codes judged like those cells: {command}"
    return ""


def _other_data(left: list[tuple[Record, Record]]) -> str:
    said = " and B ".join(
        ", ".join(dict.fromkeys(one_line(record.cell.dataset) for record in side))
        for side in zip(*left, strict=True)
    )
    return f"A has data set {said}"


def _other_lengths(left: list[tuple[Record, Record]]) -> str:
    sides = [sorted({record.cell.bits for record in side}) for side in zip(*left, strict=True)]
    said = [", ".join(f"{bits} bits" if bits else "float" for bits in lengths) for lengths in sides]
    return (
        f"of one data set A has {said[0]} and B {said[1]}; lengths may be compared: "
        f"--a bits={sides[0][0]} --b bits={sides[1][0]}"
    )


def _other_seeds(left: list[tuple[Record, Record]]) -> str:
    sides = [sorted({record.cell.seed for record in side}) for side in zip(*left, strict=True)]
    said = [f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}" for seeds in sides]
    return (
        f"A has {said[0]} and B {said[1]}, and equal seeds are paired; two others may be compared: "
        f"--a seed={sides[0][0]} --b seed={sides[1][0]}"
    )
