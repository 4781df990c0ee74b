"""The README is true: its plug-in trains, its commands exist, its table is that of published records."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from bench.comparison.compare import compare
from bench.comparison.finding import findings
from bench.hamming import average_precision
from bench.planning.config import load_grid
from bench.results.folder import load_results
from bench.results.summary import summarise

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PUBLISHED = ROOT / "results/published"

#: Long enough for deep Cauchy hashing to find nine of ten digits.
LEARNING = """\
schema: 1
name: learning
defaults:
  image_size: 32
  finetune: {epochs: 15, batch_size: 64, optimizer: adamw, lr: 1.0e-3, schedule: cosine}
axes:
  dataset: [digits]
  teacher: [efficientnet_lite0]
  student: [{name: "timm:test_resnet", params: {weights: none}}]
  method: [none]
  loss: [dch, my_loss]
  bits: [16, 32]
  seed: [0]
measure: {latency: false, peak_memory: false, search: false}
"""


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture
def my_loss(folder):
    """The file of the loss in the README."""
    (code,) = (block for block in blocks("python") if "LOSSES" in block)
    (folder / "my_loss.py").write_text(code)
    return folder / "my_loss.py"


def test_the_loss_in_the_readme_trains(tiny, my_loss):
    result = tiny(
        "run", "--include", "my_loss.py", "--only", "loss=my_loss", edit=("[csq, dch]", "[my_loss]")
    )
    assert result.code == 0, result.err
    assert {record.cell.loss for record in load_results(Path("results/tiny")).records} == {"my_loss"}


def test_the_loss_in_the_readme_is_short_and_says_what_it_is(bench, my_loss):
    assert len(my_loss.read_text().splitlines()) <= 25
    listed = bench("ls", "losses", "--include", my_loss)
    assert re.search(r"^my_loss +Contrastive: ", listed.out, re.MULTILINE)


@pytest.mark.slow
def test_the_loss_in_the_readme_learns(bench, folder, my_loss):
    (folder / "grid.yaml").write_text(LEARNING)
    assert bench("run", "--grid", "grid.yaml", "--include", my_loss).code == 0
    found = load_results(Path("results/learning")).records
    accuracies = {(one.cell.loss, one.cell.bits): one.metrics[one.accuracy].value for one in found}
    for bits in (16, 32):
        assert accuracies["dch", bits] > 0.9
        assert accuracies["my_loss", bits] >= 0.9 * accuracies["dch", bits]


def test_every_command_exists(bench):
    for verb in set(re.findall(r"python -m bench ([a-z]+)", README)):
        assert bench(verb, "--help").code == 0, verb


def test_every_link_leads_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_the_python_example_computes(capsys):
    (code,) = (block for block in blocks("python") if "average_precision" in block)
    generator = np.random.default_rng(0)
    query, database = (generator.standard_normal((count, 32)) for count in (5, 50))
    query_labels, database_labels = (generator.integers(3, size=count) for count in (5, 50))
    exec(code, {**locals()})
    expected = average_precision(query, database, query_labels, database_labels, k=1000).mean()
    assert float(capsys.readouterr().out) == expected


def test_the_example_of_reading_results_from_python_runs(folder):
    (code,) = (block for block in blocks("python") if "bench.load" in block)
    shutil.copytree(PUBLISHED / "quick", folder / "results/quick")
    found = {}
    exec(code, found)
    assert len(found["cells"]) == len(found["results"].records)
    assert len(found["means"]) == found["means"]["configuration"].nunique()


def test_the_example_of_images_of_your_own_is_a_grid(tmp_path):
    (axes,) = (block for block in blocks("yaml") if "image_folder" in block)
    rest = "  teacher: [efficientnet_lite0]\n  method: [none]\n  loss: [csq]\n  bits: [32]\n"
    (tmp_path / "grid.yaml").write_text(f"schema: 1\nname: own\n{axes}{rest}")
    found = load_grid(tmp_path / "grid.yaml").grid.axes
    assert found.dataset[0].name == "image_folder"
    assert found.student[1].params == {"weights": "none"}


def test_the_table_and_the_sentence_are_those_of_the_published_records():
    results = load_results(PUBLISHED / "tradeoff")
    (group,) = summarise(results).groups
    values = {}
    for row in group.rows:
        one = row.configuration
        shown = row.role == "teacher" or (one.loss == "dch" and "lite2" not in one.method)
        if one.bits == 64 and shown:
            student, method = one.student.partition("[")[0], one.method.partition("[")[0]
            values[student, str(row.image_size), method, one.loss] = row
    found = re.findall(
        r"^\| ([^|]+) \| (\d+) \| (\w+) \| (\w+) \| (0\.\d+) ± (0\.\d+) \| [^|]+"
        r" \| (\S+) \| (\S+) \| (\S+(?: †)?) \|$",
        README,
        re.MULTILINE,
    )
    assert len(found) == len(values) == 13
    for *which, mean, half, params, macs, latency in found:
        row = values[tuple(which)]
        estimate = row.estimates[group.accuracy]
        assert (f"{estimate.value:.3f}", f"{estimate.half_width:.3f}") == (mean, half)
        costs = [row.metrics[name].value for name in ("params", "macs", "latency_ms@1")]
        timed = f"{costs[2]:.1f} {row.doubt('latency_ms@1')}".strip()
        assert (f"{costs[0] / 1e6:.2f}", f"{costs[1] / 1e6:.1f}", timed) == (params, macs, latency)
    (sentence,) = findings(results)
    assert sentence in README.replace("\n> ", " ")
    (quick,) = findings(load_results(PUBLISHED / "quick"))
    (gain,) = re.findall(r"mAP@all: (\S+ \[\S+ \S+\])", quick)
    assert f"shows the gain in minutes: {gain}" in README.replace("\n", " ")


@pytest.mark.parametrize("student", ["cukd_v1", "cukd_v2"])
def test_the_papers_students_are_behind_smaller_ones_in_the_published_records(student):
    results = load_results(PUBLISHED / "tradeoff")
    taught = {"teacher": "efficientnet_lite0", "method": "cukd*"}
    found = compare(
        results,
        results,
        base_only={**taught, "student": student},
        new_only={**taught, "student": "timm:test_resnet", "image_size": "32"},
    )
    assert found.overall is not None
    assert found.overall.interval[0] > 0
    macs = {
        one.cell.student: one.metrics["macs"].value for one in results.records if one.cell.image_size == 32
    }
    assert macs["timm:test_resnet"] < macs[student] / 5


def test_distilled_students_lie_above_plain_ones_in_the_published_records():
    (group,) = summarise(load_results(PUBLISHED / "quick")).groups
    found = {
        (row.configuration.student, row.configuration.loss, row.configuration.method): row.estimates[
            group.accuracy
        ]
        for row in group.rows
        if row.role != "teacher"
    }
    pairs = {(student, loss) for student, loss, _ in found}
    assert len(pairs) == 4
    for pair in pairs:
        plain, distilled = found[*pair, "none"], found[*pair, "cukd"]
        assert distilled.value - distilled.half_width > plain.value + plain.half_width


def test_what_is_said_of_labels_is_that_of_the_published_records():
    text = README.replace("\n", " ")
    results = load_results(PUBLISHED / "labels")
    (fewest,) = (line for line in findings(results) if "[train_per_class=5]" in line)
    (gain,) = re.findall(r"mAP@all: (\S+ \[\S+ \S+\]) at the same MACs", fewest)
    assert f"adds {gain} with 5 labels a class" in text
    found = compare(results, results, base_only={"method": "none"}, new_only={"method": "cukd"})
    for loss in ("csq", "dch"):
        (pair,) = (
            one
            for one in found.pairs
            if one.name.dataset.endswith("=500]") and one.name.loss.startswith(loss)
        )
        low, high = pair.interval
        assert f"{pair.difference:+.3f} [{low:+.3f}, {high:+.3f}] ({loss})" in text
    rows = {
        (group.dataset.partition("=")[2], row.configuration.method): row.estimates[group.accuracy]
        for group in summarise(results).groups
        for row in group.rows
        if row.configuration.loss.startswith("dch")
    }
    with_few, without = rows["50]", "cukd"], rows["200]", "none"]
    assert with_few.value - with_few.half_width > without.value  # "what it does without"
    said = [f"({one.value:.3f} ± {one.half_width:.3f})" for one in (with_few, without)]
    assert f"on 50 labels a class {said[0]} what it does without on 200 {said[1]}" in text
