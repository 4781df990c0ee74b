"""Grids that are wrong by chance: each is planned, or refused in lines with their place."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from bench.errors import BenchError, ConfigError
from bench.planning.build import build_plan
from bench.planning.config import load_grid
from tests.faults.fuzzing import damaged, fuzz, many

GRIDS = Path(__file__).parents[2] / "bench" / "grids"
#: Parts of grids, of YAML and of neither.
WORDS = [
    *GRIDS.joinpath("methods.yaml").read_text(encoding="utf-8").split(),
    *[
        "axes",
        "exclude",
        "include",
        "protocol",
        "k",
        "all",
        "ties",
        "measure",
        "false",
        "true",
        "report",
        "pareto",
        "keep",
        "max_cells",
        "per_class",
    ],
    *[
        "1e308",
        "-1",
        ".nan",
        "18446744073709551616",
        "~",
        "null",
        "1e-4",
        "1e999",
        "&a",
        "*a",
        "<<:",
        "!!int",
        "!!python/name:x",
        "%YAML",
        "?",
        "|",
        ">",
    ],
    *("'", '"', '"\\ud800"', '"\\0"', '"\\U0011ffff"', "#", "---", "...", ""),
    *("\x1b", "\u202e", "\u2028", "\ud7ff", "\ufeff", "\x00", "\ud800", "\r"),
]
JOINTS = (": ", ", ", "\n", "\n  ", "\n    ", "\n- ", "\n  - ", "[", "]", "{", "}", " ", "\t", "[[", "]]", "")


def written(sound: Sequence[bytes], rng: random.Random) -> bytes:
    """Words of grids in any order, or a grid of which some words are others."""
    if rng.random() < 0.3:
        text = "".join(rng.choice(WORDS) + rng.choice(JOINTS) for _ in range(rng.randrange(1, 200)))
    else:
        text = rng.choice(sound).decode()
        for _ in range(rng.choice([1, 1, 2, 5])):
            lines = text.split("\n")
            place = rng.randrange(len(lines))
            words = lines[place].split(" ")
            words[rng.randrange(len(words))] = rng.choice(WORDS) + rng.choice(JOINTS)
            lines[place] = " ".join(words)
            text = "\n".join(lines)
    return text.encode("utf-8", errors="surrogatepass")


def changed(sound: Sequence[bytes], rng: random.Random) -> bytes:
    """A grid with other words, or with other bytes."""
    return rng.choice([written, damaged])(sound, rng)


def plan(path: Path) -> None:
    """Read a grid and plan it where it is one.

    Raises:
        BenchError: one fault of it; each has been looked at.
    """
    try:
        build_plan(load_grid(path), path.parent, "here")
    except ConfigError as error:
        for problem in error.problems:
            assert problem.file == str(path), problem
            assert problem.line > 0, problem
            assert problem.column > 0, problem
            assert "\n" not in problem.message, problem
            assert len(problem.message) < 1500, problem
        raise BenchError(str(error.problems[0])) from error


SMALL = b"""\
schema: 1
name: small
defaults: {image_size: 16, distill: {epochs: 2}, finetune: {lr: 1e-3, batch_size: 32}}
axes:
  dataset: [{name: synthetic, params: {classes: 4, per_class: 40, side: 16}}, digits]
  teacher: [efficientnet_lite0, [efficientnet_lite0, efficientnet_lite1]]
  student: [cukd_v1, {name: cukd_v2, params: {weights: none}}]
  method: [none, {name: cukd, params: {views: 2, epochs: 3}}, {name: retrieval, params: {pool: train}}]
  loss: [csq, {name: dch, params: {gamma: 20}}]
  bits: [16, 32]
  seed: [0, 1]
exclude: [{loss: csq, bits: 32}, {teacher: efficientnet_lite1}]
include: [{seed: 7, image_size: 32, bits: 64}]
protocol: {k: 100, ties: index}
measure: {latency: {batch_sizes: [1], samples: 5}, search: false}
report: {pareto: [[map, macs]], examples: 2, keep: front}
"""


def test_grids(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    sound = [SMALL, *((GRIDS / name).read_bytes() for name in ("quick.yaml", "ci.yaml"))]
    figures = fuzz(plan, sound, tmp_path / "grid.yaml", change=changed)
    assert figures.refused > many() / 4
    figures.check()
