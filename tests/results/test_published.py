"""Which published figures may stand beside rows: the same data, split, cut-off, code length and metric."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.published import load_published
from bench.results.folder import Results
from bench.results.fronts import front_of
from bench.results.published import Count, Published, beside
from bench.results.summary import summarise
from tests import cited, recorded


@pytest.fixture(scope="module")
def published():
    return load_published()


def own(published, records):
    (group,) = summarise(Results(None, "x", [], records, [])).groups
    return beside(published, group)


def test_of_cifar10_1_what_deephash_prints_at_48_and_64_bits(published):
    found = own(published, cited.records())
    assert [(one.system, one.bits, one.values["map@all:index:hits"]) for one in found.figures] == [
        ("ADSH", 48, 0.921), ("DCH", 48, 0.768), ("DCH", 48, 0.810), ("DFH", 48, 0.801), ("DPN", 48, 0.778),
        ("DPN", 48, 0.787), ("DPN-T", 48, 0.134), ("DSDH", 48, 0.790), ("DSH", 48, 0.800),
        ("GreedyHash", 48, 0.817), ("HashNet", 48, 0.794), ("HashNet", 48, 0.807), ("CSQ", 64, 0.787),
        ("CSQ", 64, 0.790),
    ]  # fmt: skip
    assert found.accuracies == ["map@all:index:hits"]
    # Those of cifar10-0 and -2, and what papers say by nobody knows which rule.
    quoted = "by another metric, or nobody knows how ties were ordered"
    assert found.left_out == {"of other splits": 11, quoted: 5}
    assert found.notes[0].startswith(
        "Published figures of this data set that are left out: 11 of other splits; 5"
    )
    assert found.notes[1] == (
        "Counted by hand, published by nobody: student v1, of ResNet-50, at 16 bits: 85.8 % parameters "
        "saved, 73.4 % MACs saved; student v2, of AlexNet, at 16 bits: 91.5 % parameters saved, 56 % more "
        "MACs."
    )
    assert found.notes[2].startswith("Looked for and not found: context-unaware distillation: parameters")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"protocol": {"split": "cifar10-1-q50-t500-s0"}}, "of other splits"),
        ({"protocol": {"limit": 100}}, "as this is a limited run"),
        ({"bits": 32}, "with other code lengths"),
    ],
)
def test_a_mismatch_is_left_out_and_counted(published, change, reason):
    made = cited.record("alexnet", "dch", change.get("bits", 48), protocol=change.get("protocol"))
    found = own(published, [made])
    assert not found.figures
    assert reason in found.left_out
    assert sum(found.left_out.values()) == 30


def test_another_cut_off_is_another_metric(published):
    made = cited.record("alexnet", "dch", 48)
    cut = {name.replace("@all", "@1000"): metric for name, metric in made.metrics.items()}
    found = own(published, [made.model_copy(update={"metrics": cut})])
    assert not found.figures
    assert found.left_out["by another metric, or nobody knows how ties were ordered"] == 14 - 2 + 5


def test_a_figure_costs_what_the_same_network_costs_here_or_was_counted_to_cost(published):
    with_network = own(published, cited.records())
    without = own(published, cited.records(["cukd_v1"]))
    dch = with_network.figures[1]
    assert with_network.cost(dch, "params") == without.cost(dch, "params") == 57_069_392 + 32 * 4097
    assert without.cost(dch, "macs") == pytest.approx(0.710e9 + 32 * 4096)
    assert without.cost(dch, "latency_ms@1") is None
    # What the same network scores here is not what somebody published.
    assert with_network.cost(dch, "map@all:expected:relevant") is None
    # What it costs at another image size is not what was published.
    small = [cited.record("alexnet", "dch", 48, image_size=64)]
    half = small[0].metrics["macs"].model_copy(update={"value": 1.0})
    small = [small[0].model_copy(update={"metrics": {**small[0].metrics, "macs": half}})]
    assert own(published, small).cost(dch, "macs") == pytest.approx(0.710e9 + 32 * 4096)
    # A pruned network is not the one that was published.
    pruned = [cited.record("alexnet", "dch", 48, method="cdd")]
    assert own(published, pruned).cost(dch, "params") == 57_069_392 + 32 * 4097


@pytest.mark.parametrize(
    "params",
    [
        {"student": {"weights": "none", "pooling": "gem", "last_stride": 2}},
        {"student": {"weights": "none", "last_stride": 1}},
        {"student": {"weights": "none", "projection": 512}},
        {"student": {"weights": "none", "layer": "fc6"}},
        {"student": {"weights": "none", "of_a_plug_in": 0}},
        {"encode": {"scales": [1, 0.5], "flip": False}},
    ],
)
def test_another_network_of_the_same_name_costs_something_else(published, params):
    made = cited.record("alexnet", "dch", 48)
    dear = {**made.metrics, "macs": made.metrics["macs"].model_copy(update={"value": 9e9})}
    default = {"student": {"weights": "none", "pooling": "avg", "last_stride": 2, "layer": "fc7"}}
    costs = [
        (found := own(published, [made.model_copy(update={"metrics": dear, "params": values})])).cost(
            found.figures[1], "macs"
        )
        for values in ({**made.params, **default}, {**made.params, **params})
    ]
    assert costs == [9e9, pytest.approx(0.710e9 + 32 * 4096)]


def test_figures_of_another_image_size_are_of_another_configuration(published):
    made = cited.record("alexnet", "dch", 48)
    small = cited.record("alexnet", "dch", 48, image_size=64)
    wide = cited.record("alexnet", "dch", 48, image_size="224x112")
    found = [
        [one.values["map@all:index:hits"] for one in published.of(one.cell, one.params["dataset"])]
        for one in (made, small, wide)
    ]
    assert found == [[0.768, 0.810], [], []]
    # Where a source does not say it, nobody can tell.
    assert [(one.values, one.image_size) for one in published.of(pruned().cell, {})] == [
        ({"params_saved": 0.6713, "macs_saved": 0.6567}, 0)
    ]


def pruned(method="cdd", **values):
    return recorded.make_record(
        "torchvision:resnet101", method, "none", 0, dataset="veri776", params={"dataset": {}},
        protocol={"split": "veri776-q1678-t37778"},
        metrics={
            "map_reid": recorded.accuracy(0.7, "expected"),
            **{name: recorded.cost(value, "parameters") for name, value in values.items()},
        },
    )  # fmt: skip


def test_what_pruning_saves_stands_beside_what_it_saves_here(published):
    costs = {"params": 15.0, "params_before": 40.0, "macs": 6.0, "macs_before": 12.0}
    found = own(published, [pruned(**costs), pruned("retrieval", params=40.0, macs=12.0)])
    assert [(one.system, one.values) for one in found.figures] == [
        ("CDD", {"params_saved": 0.6713, "macs_saved": 0.6567}),
        ("JDP", {"params_saved": 0.8000, "macs_saved": 0.7852}),
    ]
    assert found.left_out == {}
    ((row, shares),) = found.saved()
    assert row.configuration.method == "cdd"
    assert shares == {"params_saved": 0.625, "macs_saved": 0.5}
    # No chart has such an axis, and what is left of a pruned network is not what the whole one costs.
    assert found.accuracies == []
    assert list(found.pairs([("map_reid", "params"), ("map_reid", "macs")])) == []
    assert found.points("map_reid", "params") == []
    assert found.cost(found.figures[0], "params") is None
    whole = own(published, [pruned("none", params=40.0)])
    at_its_size = replace(whole.figures[0], image_size=64)
    assert whole.cost(at_its_size, "params") is None
    assert whole.cost(replace(at_its_size, method="none"), "params") == 40.0
    assert whole.saved() == []
    # Of multiply-adds that are a lower bound, nobody knows the share.
    made = pruned(**costs)
    bound = {**made.metrics, "macs": recorded.cost(6.0, "multiply-adds", fully_counted=False)}
    ((_, certain),) = own(published, [made.model_copy(update={"metrics": bound})]).saved()
    assert certain == {"params_saved": 0.625}
    # Without figures of the kind, nothing is said of ours.
    assert own(Published(), [pruned(**costs)]).saved() == []


def test_without_a_hash_layer_a_count_says_nothing_of_code_lengths():
    count = Count("R101", "x", 0, 256, 0, {"params": 5.0, "params_saved": 0.5}, "somebody")
    assert count.cost("params", 0) == 5.0
    assert count.cost("params", 16) is None
    assert count.cost("params_saved", 0) is None


def test_charts_of_their_accuracy_come_beside_those_that_are_asked_for(published):
    found = own(published, cited.records())
    asked = [("map", "macs"), ("map", "latency_ms"), ("map", "params")]
    charted = dict(found.fronts(asked))
    assert list(charted) == [("map@all:index:hits", "macs"), ("map@all:index:hits", "params")]
    assert all(front.recommended is None for front in charted.values())
    assert list(found.pairs([*asked, ("map@all:index:hits", "macs")])) == [("map@all:index:hits", "params")]
    front = charted["map@all:index:hits", "params"]
    # It is what it would be without: figures are no rows.
    alone = front_of(found.group, "map@all:index:hits", "params")
    assert (front.rows, front.standings, front.hypervolume) == (
        alone.rows,
        alone.standings,
        alone.hypervolume,
    )
    assert list(beside(Published(), found.group).fronts(asked)) == []


def test_nothing_published_stands_beside_unseen_classes(published):
    made = cited.record("alexnet", "dch", 48)
    params = {**made.params, "dataset": {**made.params["dataset"], "unseen_classes": 3}}
    found = own(published, [made.model_copy(update={"params": params})])
    assert not found.figures
    assert "of other splits" in found.left_out
