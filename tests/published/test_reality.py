"""What the reality check says in words is what its records say."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from pathlib import Path

import pytest

from bench.comparison.compare import LEVEL, compare
from bench.comparison.statistics import holm
from bench.results.folder import load_results
from bench.results.tuning import studies_of

ROOT = Path(__file__).parents[2]
#: What the reality check asks of the student after step 1.
STUDENT = {"student": "timm:test_resnet", "method": "cukd"}


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
    """Each loss less ``base`` with 20 and with 100 labels a class: difference, and what is shown of it.

    Corrected for all that is asked here at once.
    """
    pairs = [
        pair
        for loss in losses
        for pair in compare(
            reality, reality, base_only={"loss": base, **STUDENT}, new_only={"loss": loss, **STUDENT},
            metric=metric,
        ).pairs
    ]  # fmt: skip
    found: dict[str, dict[str, tuple[float, str]]] = {"20": {}, "100": {}}
    for pair, p in zip(pairs, holm([pair.p for pair in pairs]), strict=True):
        shown = p < LEVEL
        verdict = "better" if shown and pair.difference > 0 else "worse" if shown else ""
        budget = "100" if "=100]" in pair.name.dataset else "20"
        found[budget][pair.name.loss] = pair.difference, verdict
    assert {len(some) for some in found.values()} == {len(losses)}
    return found


def shown(some, verdict):
    return {loss for loss, (_, one) in some.items() if one == verdict}


def ends(some):
    """The least and the greatest difference."""
    differences = [difference for difference, _ in some.values()]
    return min(differences), max(differences)


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


def test_codes_without_training_are_ahead_on_unseen_classes_alone(reality, checked, losses):
    said = " ".join(checked.split())
    metrics = ("map[seen]", "map[unseen]", "map")
    seen, unseen, every = (against(reality, "itq", losses, metric) for metric in metrics)
    low, high = ends(seen["100"])
    assert f"all nine losses are shown to be better (by {low:+.3f} to {high:+.3f}); with 20" in said
    assert [len(shown(seen[labels], "better")) for labels in ("100", "20")] == [9, 4]
    far, near = ends(unseen["100"])
    assert near < 0
    assert f"with 100 labels all nine are behind (by {near:+.3f} to {far:+.3f}), six of them shown" in said
    assert [shown(unseen[labels], "better") for labels in ("100", "20")] == [set(), set()]
    assert [len(shown(unseen[labels], "worse")) for labels in ("100", "20")] == [6, 2]
    assert sum(difference < 0 for difference, _ in unseen["20"].values()) == 8
    assert [len(shown(every[labels], "better")) for labels in ("20", "100")] == [1, 0]
    assert [len(shown(every[labels], "worse")) for labels in ("20", "100")] == [2, 1]
    readme = " ".join((ROOT / "README.md").read_text().split())
    assert f"by {low:+.3f} to {high:+.3f} of mAP@all" in readme
    assert f"all nine are behind, by {near:+.3f} to {far:+.3f}, six of them shown to be worse" in readme
    assert "verdicts corrected for 18 questions" in readme


def test_losses_are_ahead_of_classifiers_on_unseen_classes(reality, checked, losses):
    others = [loss for loss in losses if loss != "classifier"]
    seen, unseen = (against(reality, "classifier", others, f"map[{side}]") for side in ("seen", "unseen"))
    assert [len(shown(seen[labels], "better")) for labels in ("20", "100")] == [6, 7]
    assert [len(shown(unseen[labels], "better")) for labels in ("20", "100")] == [8, 8]
    assert not any(shown(some[labels], "worse") for some in (seen, unseen) for labels in ("20", "100"))
    center = [unseen[labels][loss][0] for labels in ("20", "100") for loss in ("csq", "dpn")]
    rest = [unseen[labels][loss][0] for labels in unseen for loss in others if loss not in {"csq", "dpn"}]
    said = " ".join(checked.split())
    assert f"by least ({min(center):+.3f} to {max(center):+.3f}), the others by {min(rest):+.3f}" in said
    assert f"to {max(rest):+.3f}." in said
    assert 0 < max(center) < min(rest)


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
