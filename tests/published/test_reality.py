"""What the reality check says in words is what its records say."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from pathlib import Path

import pytest

from bench.comparison.compare import Compared, compare
from bench.results.folder import load_results
from bench.results.tuning import studies_of

ROOT = Path(__file__).parents[2]
#: What the reality check asks of the student after step 1.
STUDENT = {"student": "timm:test_resnet", "method": "cukd"}
NUMBERS = ("none", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.fixture(scope="module")
def reality():
    return load_results(ROOT / "results/published/reality")


@pytest.fixture(scope="module")
def checked():
    text = (ROOT / "results/README.md").read_text()
    return text[text.index("## The reality check") :].partition("\n## ")[0]


@pytest.fixture(scope="module")
def losses(reality):
    return sorted({record.cell.loss for record in reality.records if "finetune" in record.stages})


def against(reality, base, losses, metric):
    """What compare says of each loss, with 20 and with 100 labels a class."""
    found: dict[str, list[Compared]] = {"20": [], "100": []}
    for loss in losses:
        base_only, new_only = ({"loss": one, **STUDENT} for one in (base, loss))
        for pair in compare(reality, reality, base_only=base_only, new_only=new_only, metric=metric).pairs:
            found["100" if "=100]" in pair.name.dataset else "20"].append(pair)
    assert {len(pairs) for pairs in found.values()} == {len(losses)}
    return found


def counted(pairs):
    """How many are better and worse, in words."""
    return [NUMBERS[sum(pair.verdict == verdict for pair in pairs)] for verdict in ("better", "worse")]


def test_the_reality_check_says_what_was_found_of_every_code(reality, checked):
    means = defaultdict(list)
    for record in reality.records:
        cell, labels = record.cell, record.params["dataset"]["train_per_class"]
        for side in ("seen", "unseen"):
            value = record.metric(f"map[{side}]")[1].value
            means[cell.loss, labels, cell.student, cell.method, side].append(value)
    rows = re.findall(r"^\| `(\w+)` \| (.*) \|$", checked, re.MULTILINE)
    assert {name for name, _ in rows} == {record.cell.loss for record in reality.records}
    columns = [
        (labels, *network)
        for labels in (20, 100)
        for network in (
            ("timm:test_resnet", "none"),
            ("timm:test_resnet", "cukd"),
            ("efficientnet_lite0", "none"),
        )
    ]
    for name, cells in rows:
        for column, cell in zip(columns, cells.split(" | "), strict=True):
            found = [means.get((name, *column, side)) for side in ("seen", "unseen")]
            said = " / ".join(f"{statistics.mean(one):.3f}"[1:] for one in found if one)
            assert cell == (said or "-"), (name, column)


def test_codes_without_training_are_as_good_on_unseen_classes_alone(reality, checked, losses):
    said = " ".join(checked.split())
    seen, unseen, every = (
        against(reality, "itq", losses, f"map{side}") for side in ("[seen]", "[unseen]", "")
    )
    low, high = (f(pair.difference for pair in seen["100"]) for f in (min, max))
    assert counted(seen["100"]) == ["nine", "none"]
    assert counted(seen["20"]) == ["six", "none"]
    assert (
        f"with 100 labels, all nine losses are better (by {low:+.3f} to {high:+.3f}), with 20 six of nine."
        in said
    )
    assert counted(unseen["100"]) == ["none", "six"]
    assert counted(unseen["20"]) == ["none", "two"]
    worst = [min(pair.difference for pair in unseen[labels]) for labels in ("100", "20")]
    assert f"six of nine are worse, with 20 two (by up to {worst[0]:+.3f} and {worst[1]:+.3f})." in said
    assert [*counted(every["100"]), *counted(every["20"])] == ["one", "one", "none", "three"]
    assert "one loss is better and one worse with 100 labels, none and three with 20." in said
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"were trained on, by {low:+.3f} to {high:+.3f} of mAP@all." in readme
    assert f"none is, and six are worse, by up to {worst[0]:+.3f}:" in readme


def test_losses_are_more_than_classifiers(reality, checked, losses):
    others = [loss for loss in losses if loss != "classifier"]
    seen, unseen = (against(reality, "classifier", others, f"map[{side}]") for side in ("seen", "unseen"))
    assert [*counted(seen["20"]), *counted(seen["100"])] == ["six", "none", "seven", "none"]
    assert [*counted(unseen["20"]), *counted(unseen["100"])] == ["six", "none", "six", "none"]
    said = " ".join(checked.split())
    assert "On seen classes six (20 labels) and seven (100) of eight losses are better" in said
    assert "on unseen ones six and six, and none is worse" in said
    shown = {pair.name.loss for some in unseen.values() for pair in some if pair.verdict == "better"}
    assert {loss for loss in others if loss not in shown} == {"csq", "dpn"}


def test_what_tuning_changes(reality, checked, losses):
    rises, bests = [], {}
    for labels in (20, 100):
        found = {
            record.cell.loss: studies_of(record)
            for record in reality.records
            if record.cell.loss in losses and record.params["dataset"]["train_per_class"] == labels
            and (record.cell.student, record.cell.method) == tuple(STUDENT.values())
        }  # fmt: skip
        of = lambda n: [statistics.mean(s.expected_best[n] for s in some) for some in found.values()]  # noqa: B023, E731
        rises += [best - first for first, best in zip(of(0), of(-1), strict=True)]
        bests[labels] = max(of(-1)) - min(of(-1))
    said = " ".join(checked.split())
    assert f"rises by {min(rises):.3f} to {max(rises):.3f}, loss by loss" in said
    assert f"best and worst loss are {bests[20]:.3f} (20 labels) and {bests[100]:.3f} (100) apart" in said


def test_more_labels_help_on_seen_classes_alone(reality):
    means = defaultdict(list)
    for record in reality.records:
        if (record.cell.student, record.cell.method) == tuple(STUDENT.values()):
            value = record.metric("map[unseen]")[1].value
            means[record.cell.loss, record.params["dataset"]["train_per_class"]].append(value)
    every = {loss for loss, _ in means}
    falls = {loss for loss in every if statistics.mean(means[loss, 100]) < statistics.mean(means[loss, 20])}
    without = {"none", "pq", "itq", "pca_rotation", "sign", "lsh", "pca"}
    assert falls == (every - without) | {"lsh"}
