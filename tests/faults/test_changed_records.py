"""Whatever becomes of a file in a results folder, it is named, not believed, and made anew."""

from __future__ import annotations

import json
import logging
import os
import random
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from bench.errors import UsageError
from bench.execution import cell_records
from bench.execution.cell_records import Writing
from bench.results import records
from bench.results.folder import load_results
from bench.storage import sealed
from bench.storage.artifact_index import INDEX
from tests.faults import damage
from tests.faults.conftest import run
from tests.recorded import edit

log = logging.getLogger(__name__)

OUT = Path("results/tiny")
MAP = "map@all:expected:relevant"
#: One file of every kind, as a pattern.
FILES = [
    "grid.json",
    "records/*none*.json",
    "per_query/*none*",
    "splits/*",
    "examples/*none*.json",
    "examples/*none*.webp",
    "logs/synthetic*none*",
    f"weights/encode/*none*/{INDEX}",
    "weights/encode/*none*/codes.safetensors",
]
#: What a run writes anew as soon as it begins.
REWRITTEN = ("grid.json", "splits/*")


def of(pattern):
    return sorted(OUT.glob(pattern))[0]


def content(folder):
    """All that is to be the same again; when records were made is not."""
    found = {
        path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and "logs" not in path.parts
    }
    return {path: text for path, text in found.items() if path.suffix != ".json" or "examples" in path.parts}


@pytest.mark.parametrize("pattern", FILES)
def test_every_damage_is_found_by_verify(finished, bench, pattern):
    drawn, tried, missed = random.Random(pattern), 0, []
    whole = bench("verify", OUT)
    assert (whole.code, whole.err) == (0, "")
    assert whole.out.startswith(
        f"{OUT}: as it was written; looked at: 1 grid, 2 records, 2 scores by query, 1 split"
    )
    for how in damage.damages(of(pattern)):
        for _ in range(damage.tries(how, 5)):
            shutil.copytree(OUT, "kept", symlinks=True)
            path = of(pattern)
            how(path, drawn)
            found = bench("verify", OUT)
            tried += 1
            named = str(path.parent if "weights" in pattern else path) in found.out
            if not (found.code == 1 and named and "Traceback" not in found.err):
                missed.append((how.__name__, found))
            shutil.rmtree(OUT)
            shutil.move("kept", OUT)
    log.info("%s: %d of %d damages found", pattern, tried - len(missed), tried)
    assert not missed


@pytest.mark.parametrize("how", [damage.flip, damage.delete, damage.dangling])
@pytest.mark.parametrize("pattern", FILES[:7])
def test_a_run_makes_it_anew_from_the_cache(finished, bench, pattern, how):
    before, path = content(OUT), of(pattern)
    how(path, random.Random(3))
    outcome = run(finished)
    assert (outcome.exit_code, outcome.stages_run) == (0, 0)
    assert outcome.attempted == (pattern not in REWRITTEN)
    assert bench("verify", OUT).code == 0
    assert content(OUT) == before


@pytest.mark.parametrize("pattern", FILES[:7])
def test_a_folder_in_the_place_of_a_file_is_named(finished, pattern):
    damage.directory(path := of(pattern), random.Random(3))
    with pytest.raises(UsageError, match=f"^{path}: a folder lies in the place of this file; remove it$"):
        run(finished)


@pytest.mark.parametrize("pattern", ["per_query/*none*", "logs/synthetic*none*", "examples/*none*.webp"])
def test_nobody_trains_again_for_what_lies_beside(finished, caplog, pattern):
    shutil.rmtree("cache")
    of(pattern).write_bytes(b"x")
    outcome = run(finished)
    assert (outcome.exit_code, outcome.attempted, outcome.stages_run) == (0, 0, 0)
    assert f"warning: {of(pattern)}: changed since it was written; it stays as it is" in caplog.text


def test_a_folder_that_was_left_out_is_no_loss(finished, bench):
    for name in ("logs", "examples"):
        shutil.rmtree(OUT / name)
    found = bench("verify", OUT)
    assert found.code == 0
    assert found.out.endswith("not in this folder: 2 examples, 2 pictures, 2 logs\n")
    assert bench("report", OUT).code == 0
    assert run(finished).attempted == 0


COMMANDS = {
    "report": ["report", OUT],
    "compare": ["compare", OUT, "--a", "method=none", "--b", "method=cukd"],
    "check": ["check", "--baseline", "baseline", OUT],
    "evaluate": ["evaluate", "codes.npz", "--out", "mine", "--name", "Mine", "--like", OUT],
    "export": ["export", "--best", OUT, "student"],
}


@pytest.mark.parametrize(
    ("verb", "how"),
    [(verb, how) for verb in COMMANDS for how in (damage.digit, damage.cut, damage.directory)][2:],
)
def test_a_changed_record_is_named_by_whoever_reads_it(finished, bench, verb, how):
    bench("check", "--baseline", "baseline", OUT, "--update", "--weak")
    how(path := of("records/*none*"), random.Random(0))
    result = bench(*COMMANDS[verb])
    assert result.code == 2
    assert str(path) in result.err
    assert "Traceback" not in result.err
    if verb == "report":
        assert Path(OUT / "report/index.html").exists()
        assert "1 cell" not in result.out, "it is not said to be not run"


def test_compare_shows_the_rest(finished, bench):
    edit(of("records/*none*"), lambda record: record | {"key": "other", "cell": record["cell"] | {"seed": 1}})
    of("records/*cukd*").write_text("{")
    result = bench("compare", OUT, OUT)
    assert result.code == 2
    assert "A and B are the same cells in the one configuration that both have" in result.out
    assert result.err.endswith("\nwhat is left was compared\n")


def raised(record):
    record["metrics"][MAP]["value"] += 0.3


@pytest.mark.parametrize(
    ("verb", "older"),
    [("report", False), *((verb, older) for verb in ("compare", "check") for older in (0, 1))],
)
def test_an_accuracy_that_is_not_the_mean_of_its_scores_is_no_accuracy(finished, bench, verb, older):
    bench("check", "--baseline", "baseline", OUT, "--update", "--weak")
    path = of("records/*cukd*")
    edit(path, raised)
    if older:
        made = json.loads(path.read_text())
        del made[sealed.SEAL], made["beside"]
        path.write_text(json.dumps(made | {"schema_version": 4}))
    result = bench(*COMMANDS[verb])
    assert result.code == 2
    assert f"{path}: {MAP} is 0." in result.err
    assert "the mean of its scores by query 0." in result.err
    assert "improved" not in result.out


def test_changed_scores_are_no_scores(finished, bench):
    path = of("per_query/*cukd*")
    scores = load_file(path)[MAP]
    save_file({MAP: np.roll(scores, 1)}, path)
    for verb in ("compare", "check"):
        bench("check", "--baseline", "baseline", OUT, "--update", "--weak")
        result = bench(*COMMANDS[verb])
        assert result.code == 2
        assert f"{path}: changed since it was written; run its grid again, which makes it anew" in result.err


def test_a_report_shows_no_log_and_no_picture_that_was_changed(finished, bench):
    of("logs/synthetic*none*").write_text("all went well")
    of("examples/*none*.webp").write_bytes(b"RIFF")
    result = bench("report", OUT)
    assert result.code == 2
    assert result.err.count("changed since it was written") == 2
    assert "everything else is in" in result.err
    pages = "".join(path.read_text() for path in (OUT / "report").rglob("*.html"))
    assert "all went well" not in pages
    assert sorted(path.name for path in (OUT / "report/examples").iterdir()) == [
        of("examples/*cukd*.webp").name
    ]


def test_what_was_brought_is_sealed_too(finished, bench):
    results = load_results(OUT)
    bench("check", "--baseline", "baseline", OUT, "--update", "--weak")
    assert bench("verify", "baseline").code == 0
    for record in load_results(Path("baseline")).records:
        assert set(record.beside) == {"per_query"}
    edit(next(Path("baseline/records").iterdir()), raised)
    assert bench("verify", "baseline").code == 1
    assert results.faults == []


def test_a_cache_is_verified_too(finished, bench):
    found = bench("verify", "cache", "--json")
    assert found.code == 0
    count = len(list(Path("cache").glob(f"*/*/{INDEX}")))
    assert json.loads(found.out)["whole"] == {"artifacts": count}
    (victim, *_) = Path("cache/measure").glob(f"*/{INDEX}")
    victim.write_text(victim.read_text().replace("1", "2", 1))
    found = bench("verify", "cache")
    assert found.code == 1
    assert found.out.startswith(
        f"{victim.parent}: damaged or incomplete; a run that needs it makes it anew\n"
    )
    assert victim.exists()


def test_results_of_earlier_releases_say_how_little_they_can_tell(bench, make_record, write_results):
    folder = write_results([make_record(seed=seed) for seed in (0, 1)])
    for path in [*folder.glob("records/*"), folder / "grid.json"]:
        made = json.loads(path.read_text())
        made.pop(sealed.SEAL)
        made.pop("beside", None)
        path.write_text(json.dumps(made | {"schema_version": 4}))
    found = bench("verify", folder)
    assert found.code == 0
    assert "1 grid, 2 records of earlier releases have no digest of themselves" in found.out
    assert bench("report", folder).code == 0


@pytest.mark.parametrize("there", [False, True])
def test_no_results(bench, folder, there):
    if there:
        (folder / "nothing").mkdir()
    found = bench("verify", "nothing")
    assert found.code == 2
    assert len(found.err.splitlines()) == 1


def test_a_record_without_its_digest_is_changed(finished):
    path = of("records/*")
    made = json.loads(path.read_text())
    del made[sealed.SEAL]
    path.write_text(json.dumps(made))
    with pytest.raises(records.RecordError, match="changed since it was written"):
        records.load(path)


@pytest.fixture
def codes(folder):
    """Codes from elsewhere, of as many images as the cells have."""
    rng = np.random.default_rng(0)
    sides = {"query": 20, "database": 140}
    arrays = {f"{side}_codes": rng.choice([-1, 1], (count, 16)) for side, count in sides.items()}
    arrays |= {f"{side}_labels": rng.integers(0, 2, count) for side, count in sides.items()}
    np.savez(folder / "codes.npz", **arrays)


@pytest.mark.parametrize("pattern", ["splits/*", "records/*none*"])
@pytest.mark.parametrize("one", [False, True])
def test_codes_from_elsewhere_are_set_beside_nothing_that_was_changed(finished, codes, bench, pattern, one):
    like = of("records/*none*") if one else OUT
    damage.digit(path := of(pattern), random.Random(1))
    result = bench("evaluate", "codes.npz", "--out", "mine", "--name", "Mine", "--like", like)
    assert result.code == 2
    assert f"{path}: changed since it was written; run its grid again, which makes it anew" in result.err
    assert not Path("mine").exists()


def test_a_record_of_codes_from_elsewhere_is_verified_too(codes, bench):
    assert bench("evaluate", "codes.npz", "--out", "mine", "--name", "Mine").code == 0
    found = bench("verify", "mine")
    assert found.out == "mine: as it was written; looked at: 1 grid, 1 record, 1 scores by query\n"
    (scores,) = Path("mine/per_query").iterdir()
    damage.flip(scores, random.Random(0))
    assert bench("verify", "mine").code == 1
    assert bench("report", "mine", "--format", "svg").code == 2


def test_speeds_that_cannot_be_read_cost_the_report_nothing_else(finished, bench):
    (OUT / "perf_train.json").write_text("{")
    result = bench("report", OUT, "--format", "svg")
    assert result.code == 2
    assert "perf_train.json: damaged; delete it, or measure again" in result.err
    assert (OUT / "report/index.html").exists()


def test_line_ends_of_another_system_are_no_change(finished, bench):
    texts = [path for path in OUT.rglob("*") if path.suffix in {".json", ".log"}]
    for path in texts:
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert (found := bench("verify", OUT)).code == 0, found.out
    assert run(finished).attempted == 0
    of("splits/*").write_bytes(of("splits/*").read_bytes().replace(b"0", b"1", 1))
    assert bench("verify", OUT).code == 1


def test_what_lies_beside_the_first_record_stays_too(tmp_path, make_record):
    cell, record, how = (
        SimpleNamespace(record_file="a-1.json"),
        make_record(),
        Writing(tmp_path, {}, first=True),
    )
    cell_records._save(cell, record, {"per_query": b"first", "examples": b"first"}, "first", how)
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(kept) == 4
    cell_records._save(cell, record, {"per_query": b"other", "pictures": b"other"}, "other", how)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == kept


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", ["records/*", "per_query/*", "examples/*.json", "logs/*__*", "splits/*"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(finished, bench, what):
    place = of(what)
    place.unlink()
    os.mkfifo(place)
    result = bench("verify", OUT)
    assert result.code == 1
    assert "no regular file" in result.out


def test_a_kind_that_was_left_out_of_a_copy_is_no_fault(finished, bench):
    for path in OUT.glob("logs/*"):
        path.unlink()
    assert bench("verify", OUT).code == 0
