"""Records that are wrong by chance: each is shown, or named in one line with all others shown."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.comparison import check_text, compare_text
from bench.comparison.check import check
from bench.comparison.compare import compare
from bench.comparison.finding import findings
from bench.errors import BenchError, RecordError
from bench.report.charts import plots  # noqa: F401  (what draws is loaded before time is taken)
from bench.report.render import render
from bench.report.tables import text as tables
from bench.report.tables.cells import CellTable
from bench.report.web.site import site
from bench.results import records
from bench.results.folder import readable_results, save_index
from bench.results.frame import LoadedResults
from bench.results.fronts import front_of
from bench.results.merge import merged
from bench.results.summary import summarise
from bench.storage import sealed
from tests.faults.fuzzing import damaged, fuzz, many
from tests.recorded import make_external, run_records

PUBLISHED = Path(__file__).parents[2] / "results" / "published" / "quick" / "records"
#: So many inputs are tried unless somebody asks for more.
USUAL = 100
#: Values that nobody expects.
JUNK = [
    *(None, True, False, 0, 1, -1, 7, 2**31, 2**62, 2**63 - 1, 2**64, -(2**63), 10**400, 0.5, -1e-308),
    *("", "x", "../../etc/passwd", "nan", "1", "all", "seeded", "ok", "external", "csq", " ", ":", "@", "="),
    *("\x1b[2J", "\u202e", "\u2028", "\0", "\ud800", "\n", "</script>", "{{x}}", "ü" * 300, "x" * 100_000),
    *([], {}, [[]], [{}], [None], {"": {}}, {"x": [1]}, {"x": {"x": {"x": []}}}, [0.1] * 1000),
]  # fmt: skip
NAMES = ["", "x" * 5000, "\ud800", "a.b", "x:y", "map@all"]


def other(data, rng: random.Random):
    """A JSON value with some of what is in it removed, renamed, put elsewhere, or replaced by junk."""
    for _ in range(rng.choice([1, 1, 2, 5])):
        block = data if rng.random() < 0.3 else rng.choice(free(data) or [data])
        while keys := list(block) if isinstance(block, dict) else list(range(len(block))):
            key = rng.choice(keys)
            if isinstance(block[key], dict | list) and block[key] and rng.random() < 0.8:
                block = block[key]
                continue
            change = rng.randrange(6)
            if change == 0:
                del block[key]
            elif change == 1 and isinstance(block, dict):
                block[rng.choice([f"{key}s", "", "x" * 5000, "\ud800", "a.b", f"{key}:x", "map@all"])] = (
                    block[key]
                )
            elif change == 2:
                block[key] = copy.deepcopy(block[rng.choice(keys)])
            else:
                block[key] = copy.deepcopy(rng.choice(JUNK))
            break
    return data


def free(data) -> list[dict]:
    """The parts of a record that may hold anything."""
    found: list[object] = []
    with contextlib.suppress(TypeError, KeyError, AttributeError):
        found += 5 * [
            data["params"],
            data["environment"],
            data["cell"]["protocol"],
            data["params"]["dataset"],
        ]
        found += [metric["detail"] for metric in data["metrics"].values()]
        found += [stage["summary"] for stage in data["stages"].values()]
    return [block for block in found if isinstance(block, dict)]


def changed(sound: Sequence[bytes], rng: random.Random) -> bytes:
    """Other values as a run would have written them, of this schema or an earlier one; or other bytes."""
    if rng.random() < 0.1:
        return damaged(sound, rng)
    data = other(json.loads(rng.choice(sound)), rng)
    if not isinstance(data, dict) or not data.pop(sealed.SEAL, None):
        return json.dumps(data).encode()
    return sealed.sealed(data or {"schema_version": 5}).encode()


def show(path: Path) -> None:
    """Have all that reads a results folder read that of a record.

    Raises:
        RecordError: the record is not among what was shown.
    """
    results = readable_results(path.parents[1])
    if results.faults:
        raise RecordError(results.faults[0])
    summary = summarise(results)
    fronts = {
        group.slug: [front for pair in results.pareto if (front := front_of(group, *pair))]
        for group in summary.groups
    }
    tables.markdown(summary, fronts)
    tables.latex(summary, fronts)
    CellTable(results.records).csv()
    said = findings(results)
    if many() > USUAL or zlib.crc32(path.read_bytes()) % 10 == 0:  # pages take most of the time
        site(summary, results, within=0.02, downloads=[], findings=said)
    with contextlib.suppress(BenchError):
        compare_text.text(compare(results, results))
    with contextlib.suppress(BenchError):
        compare_text.as_json(
            compare(results, results, base_only={"method": "none"}, new_only={"method": "cukd"})
        )
    with contextlib.suppress(BenchError):
        verdict = check(results, results)
        check_text.text(verdict)
        check_text.junit(verdict)
    loaded = LoadedResults(**vars(merged([results, results])))
    loaded.frame()
    loaded.summary()


def draw(path: Path) -> None:
    """Make the report of a record's folder, charts and all; one format of them takes a third of the time."""
    render([path.parents[1]], formats=["svg"])


def sound() -> list[bytes]:
    """Records of several kinds: of this schema and of the first, finished or not, from elsewhere."""
    own = [*run_records()[:14:5], *run_records()[-3:], make_external()]
    published = [path.read_bytes() for path in sorted(PUBLISHED.glob("*.json"))[::20]]
    return [*(records.text(record).encode() for record in own), *published]


@pytest.fixture
def path(tmp_path):
    """Where a record is to be written, among others of the same grid."""
    contents = sound()
    cells = {json.loads(content)["cell_key"]: f"cell-{i}" for i, content in enumerate(contents)}
    save_index(tmp_path, "fuzzed", [("map", "macs"), ("map", "latency_ms")], cells)
    (tmp_path / "records").mkdir()
    for number, content in enumerate(contents):
        (tmp_path / "records" / f"cell-{number}-{'a' * 12}.json").write_bytes(content)
    return tmp_path / "records" / f"cell-{'b' * 12}.json"


def test_records(path):
    fuzz(show, sound(), path, change=changed).check()


@pytest.mark.slow
def test_reports_with_charts(path):
    fuzz(draw, sound(), path, change=changed, usual=30).check()
