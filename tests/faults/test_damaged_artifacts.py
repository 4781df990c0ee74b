"""Whatever becomes of a file of an artifact, the artifact is found damaged, set aside and made again."""

from __future__ import annotations

import json
import logging
import random
import shutil

import pytest

from bench.results.folder import load_results
from bench.storage import artifact_index
from bench.storage.artifact_index import INDEX
from bench.storage.store import Store
from tests.faults import damage
from tests.faults.conftest import run

log = logging.getLogger(__name__)

#: Kinds of stages that the grid has.
KINDS = ["features", "distill", "finetune", "encode", "measure", "examples"]


def artifacts_of(root, kind):
    return sorted(path for path in (root / "cache" / kind).iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_damage_of_each_file_is_found(finished, kind, tmp_path_factory):
    drawn, tried, missed = random.Random(kind), 0, []
    artifact = max(artifacts_of(finished, kind), key=lambda path: len(list(path.iterdir())))
    assert Store(finished / "cache").verify(artifact) is not None
    for file in sorted(path.name for path in artifact.iterdir()):
        for how in damage.damages(artifact / file):
            for _ in range(damage.tries(how, 10)):
                copy = tmp_path_factory.mktemp("store") / kind / artifact.name
                shutil.copytree(artifact, copy)
                how(copy / file, drawn)
                store = Store(copy.parent.parent)
                tried += 1
                found = store.verify(copy) is None and not copy.exists()
                if not (found and len(list((store.root / "damaged").iterdir())) == 1):
                    missed.append((file, how.__name__))
                shutil.rmtree(store.root)
    log.info("%s: %d of %d damages found", kind, tried - len(missed), tried)
    assert not missed


def numbers(folder):
    """Those that no clock has measured."""
    return {
        (record.cell_key, name): metric.value
        for record in load_results(folder).records
        for name, metric in record.metrics.items()
        if metric.noise != "timed"
    }


def forget(folder, after):
    """Remove the records, and all that was made of stages of a kind."""
    for path in (folder / "results/tiny/records").iterdir():
        path.unlink()
    for kind in KINDS[KINDS.index(after) + 1 :] if after not in KINDS[-2:] else []:
        shutil.rmtree(folder / "cache" / kind)


def made_when(folder):
    return {path.parent: path.stat().st_mtime_ns for path in folder.glob(f"cache/*/*/{INDEX}")}


@pytest.mark.parametrize(
    ("kind", "how"),
    [*((kind, damage.brackets) for kind in KINDS), ("measure", damage.digit), ("encode", damage.directory)],
)
def test_a_damaged_index_costs_its_artifact_alone(finished, kind, how):
    artifact, before = artifacts_of(finished, kind)[0], numbers(finished / "results/tiny")
    forget(finished, kind)
    there = made_when(finished)
    how(artifact / INDEX, random.Random(1))
    outcome = run(finished, "again")
    assert (outcome.exit_code, outcome.ok) == (0, 2)
    again = made_when(finished)
    assert {path for path in there if again[path] != there[path]} == {artifact}
    assert numbers(finished / "again") == before


@pytest.mark.parametrize("what", ["folder", "index"])
def test_an_artifact_in_the_place_of_another_is_not_taken_for_it(finished, what):
    one, other = artifacts_of(finished, "measure")[:2]
    if what == "index":
        shutil.copyfile(one / INDEX, other / INDEX)
    else:
        shutil.rmtree(other)
        shutil.copytree(one, other)
    store = Store(finished / "cache")
    assert store.intact(one)
    assert store.verify(other) is None
    assert not other.exists()


@pytest.mark.parametrize("what", ["file", "dangling link", "link to another"])
def test_something_else_in_the_place_of_an_artifact_is_set_aside(finished, what):
    before = numbers(finished / "results/tiny")
    artifact = artifacts_of(finished, "encode")[0]
    forget(finished, "encode")
    moved = artifact.rename(finished / "elsewhere")
    if what == "file":
        artifact.write_text("x")
    else:
        artifact.symlink_to("nothing" if what == "dangling link" else artifacts_of(finished, "encode")[0])
    outcome = run(finished, "again")
    assert (outcome.exit_code, outcome.ok) == (0, 2)
    assert artifact.is_dir()
    assert not artifact.is_symlink()
    assert {path.name for path in artifact.iterdir()} == {path.name for path in moved.iterdir()}
    assert numbers(finished / "again") == before


def older(artifact, change=lambda content: None):
    """Make an index what earlier versions have written."""
    content = artifact_index.parsed((artifact / INDEX).read_bytes())
    del content["format"]
    change(content)
    (artifact / INDEX).write_text(json.dumps(content, indent=1))


def test_artifacts_of_earlier_versions_are_of_use(finished):
    for artifact in finished.glob("cache/*/*/"):
        if (artifact / INDEX).exists():
            older(artifact)
    outcome = run(finished, "again")
    assert (outcome.exit_code, outcome.ok, outcome.stages_run) == (0, 2, 0)
    assert numbers(finished / "again") == numbers(finished / "results/tiny")


@pytest.mark.parametrize("change", [
    {"files": []}, {"files": {"x": []}}, {"files": {"../x": {"sha256": "", "bytes": 1}}},
    {"files": {"a\0b": {"sha256": "", "bytes": 1}}}, {"seconds": None}, {"summary": []}, {"inputs": 1},
    {"kind": "distill"}, {"key": "0" * 64}, {"images": "many"},
])  # fmt: skip
def test_but_not_if_they_are_made_of_something_else(finished, change):
    artifact = artifacts_of(finished, "examples")[0]
    older(artifact, lambda content: content.update(change))
    outcome = run(finished, "again")
    assert (outcome.exit_code, outcome.ok, outcome.stages_run) == (0, 2, 1)


def test_what_a_stage_of_earlier_versions_found_is_believed_by_nobody_who_cannot_read_it(finished):
    """At worst one cell fails, and the log says of which artifact."""
    artifact = next(path for path in artifacts_of(finished, "measure") if path.name.startswith("map__"))
    older(artifact, lambda content: content["summary"].update(values=["x"]))
    outcome = run(finished, "again")
    assert (outcome.exit_code, outcome.ok, len(outcome.failed)) == (1, 1, 1)
    (failed,) = (one for one in load_results(finished / "again").records if one.status == "failed")
    assert artifact.name in failed.error.message


@pytest.mark.slow
def test_whole_runs_with_any_damage_give_the_same_numbers(finished):
    """Any number of files at once; as many runs as FAULTS says, times ten."""
    drawn, before, tried = random.Random(0), numbers(finished / "results/tiny"), 0
    shutil.copytree(finished / "cache", finished / "whole")
    for _ in range(10 * damage.FAULTS):
        for folder in ("cache", "again"):
            shutil.rmtree(finished / folder, ignore_errors=True)
        shutil.copytree(finished / "whole", finished / "cache")
        files = sorted(path for kind in KINDS for path in (finished / "cache" / kind).rglob("*.*"))
        for path in drawn.sample([path for path in files if path.is_file()], 4):
            if path.is_file():
                drawn.choice(damage.damages(path))(path, drawn)
                tried += 1
        outcome = run(finished, "again")
        assert (outcome.exit_code, outcome.ok) == (0, 2)
        assert numbers(finished / "again") == before
    log.info("the same numbers after %d damages", tried)
