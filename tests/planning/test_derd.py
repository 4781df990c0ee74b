"""The ablations of ranking distillation change one thing at a time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from bench.planning.build import build_plan
from bench.planning.config import load_grid

DERD = Path(__file__).parents[2] / "bench/grids/derd.yaml"


def test_every_row_of_ranking_is_the_first_with_one_change():
    cells = build_plan(load_grid(DERD), Path("/no data"), "no hardware").cells
    rows = [cell.params["method"] for cell in cells if cell.info.method == "ranking" and cell.info.seed == 0]
    rows = [row for i, row in enumerate(rows) if row not in rows[:i]]
    first, changes = rows[0], []
    for row in rows[1:]:
        changed = {name: value for name, value in row.items() if first.get(name) != value}
        assert set(row) >= set(first)
        changes.append(changed)
    assert changes == [
        {"mixtures": 0.0},
        {"mixtures": 1.0},
        {"mixtures": 4.0},
        {"parents": False},
        {"list_weight": 0.0},
        {"pair_weight": 0.0, "list_weight": 1.0},
        {"pair_weight": 0.0, "list_weight": 0.0, "rank_weight": 1.0},
        {"embedding": 128},
        {"embedding": 512},
        {"embedding": 2048},
    ]
    assert (first["pool_fraction"], first["mixtures"], first["copies"]) == (0.1, 2.0, False)
    assert {first[name] for name in ("pair_weight", "list_weight", "rank_weight")} == {1.0, 0.5, 0.0}
    # Supervised rows, and the student as it is; every row on both data sets.
    assert Counter(cell.info.method for cell in cells if cell.info.seed == 0) == {
        "none": 2,
        "ranking": 2 * 11,
        "supcon": 2 * 4,
    }
    pools = {cell.params["method"]["pool_fraction"] for cell in cells if cell.info.method == "supcon"}
    assert pools == {1.0, 0.1, 0.05, 0.01}


def test_a_wider_student_is_measured_as_it_is():
    cells = build_plan(load_grid(DERD), Path("/no data"), "no hardware").cells
    stages = {
        cell.params["method"].get("embedding"): cell.leaves["measure/macs"].inputs
        for cell in cells
        if cell.info.method == "ranking"
    }
    assert stages.pop(None) == {}
    assert all(set(inputs) == {"distill"} for inputs in stages.values())
