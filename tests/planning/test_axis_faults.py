"""Charts that no record could fill are refused before any work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench import registry
from bench.errors import ConfigError
from bench.planning.given import NAMES, WHOLE, given, measured_by
from bench.registry import METRICS
from bench.results import catalogue
from bench.results.entries import ENTRIES
from bench.results.folder import load_results
from bench.types import MetricEntry
from tests.planning.conftest import GRID

CODES = GRID.replace("loss: [csq, dch]", "loss: [csq, itq]").replace("bits: [16, 32]", "bits: [8]")
UNSEEN = CODES.replace("dataset: [synthetic]", "dataset: [{name: synthetic, params: {unseen_classes: 2}}]")
R10 = "measure: {rescore: {r: [10]}}"


@pytest.mark.parametrize(
    ("text", "rest", "pair", "message"),
    [
        (CODES, "", "[map_rescored, macs]", "12:20: no cell has 'map_rescored': metric 'rescore'"),
        (CODES, "", "[map, energy_j]", "12:25: no cell has 'energy_j': .* add measure: {energy: {}} or"),
        (CODES, R10, "[map_rescored@7, macs]", r"13:20: .*'map_rescored@7' \(there are: map_rescored@10\);"),
        (CODES, "", "[precision_at_k@7, macs]", r"'precision_at_k@7' \(there are: precision_at_k@1, "),
        (CODES, "", "[recall_at_k@7, macs]", r"'recall_at_k@7' \(there are: recall_at_k@100, recall"),
        (CODES, "", "[map@100, macs]", r"'map@100' \(there are: map@all:expected:relevant, "),
        (CODES, "", "[map, latency_ms@7]", r"'latency_ms@7' \(there are: latency_ms@1, latency_ms@64\)"),
        (CODES, "", "[map, search_recall]", "'search_recall': what gives it applies to no cell"),
        (CODES, "measure: {search: false}", "[map, query_ms]", "measure: {search: false} leaves it out"),
        (CODES, "measure: {map: false}", "[map, macs]", "'map': measure: {map: false} leaves it out"),
        (CODES, "measure: {peak_memory: false}", "[map, peak_memory_mb@1]", "{peak_memory: false} leaves"),
        (CODES, "", "['map[]', macs]", r"12:20: no metric gives 'map\[\]'; did you mean 'map'"),
        (CODES, "", "['map[unseen]', macs]", "as no class is unseen; set unseen_classes"),
        (UNSEEN, "", "['map[unsen]', macs]", "there is no side 'unsen'; did you mean 'unseen'"),
        (UNSEEN, "", "[map, 'macs[unseen]']", "12:25: .* macs is not told of classes apart; write macs$"),
        (CODES, "", "[macs, map]", "12:19: 'macs' is no accuracy; write the accuracy first"),
        (CODES, "", "[map, map]", "both axes are 'map'; name a cost"),
        (CODES, "", "[map_hamming2, map_revisited]", "'map_revisited': what gives it applies to no cell"),
    ],
)  # fmt: skip
def test_a_chart_of_what_no_record_will_have_is_refused(make, text, rest, pair, message):
    with pytest.raises(ConfigError, match=message):
        make("\n".join([text.strip(), rest, f"report: {{pareto: [{pair}]}}\n"]).replace("\n\n", "\n"))


def test_two_numbers_that_no_record_has_both_are_refused(make):
    """What labels judge are other data than what is judged by lists of images."""
    text = (
        re.sub("method: .*", "method: [none]", CODES)
        .replace("[synthetic]", "[synthetic, roxford5k]")
        .replace("[csq, itq]", "[{name: itq, params: {pool: train}}]")
    )
    with pytest.raises(ConfigError, match="13:19: no cell has both 'map_rescored' and 'map_revisited'; set"):
        make(f"{text}{R10}\nreport: {{pareto: [[map_rescored, map_revisited]]}}\n")


@pytest.mark.parametrize(
    "pair",
    [
        "[map, macs]",
        "[map@all, latency_ms@64]",
        "[precision_at_k, query_ms]",
        "['map@all:worst[seen_in_all]', params]",
        "['map_rescored[unseen]', search_ms]",
        "[pr_curve:rank, index_bytes]",
    ],
)
def test_charts_of_what_some_record_will_have_are_not(make, pair):
    assert make(f"{UNSEEN}{R10}\nreport: {{pareto: [{pair}]}}\n").pareto


def test_data_sets_of_equal_params_have_cut_offs_of_their_own(make):
    text = re.sub("method: .*", "method: [none]", GRID).replace("[synthetic]", "[synthetic, nuswide_21]")
    text = text.replace("loss: [csq, dch]", "loss: [dch]")
    for cut in ("map@all", "map@5000"):
        assert make(f"{text}report: {{pareto: [[{cut}, macs]]}}\n").pareto == [(cut, "macs")]


def test_a_default_chart_may_lack_its_cost(make):
    """A grid that measures no time need not list the charts that are left."""
    off = "measure: {latency: false}\n"
    assert ("map", "latency_ms") in make(f"{GRID}{off}").pareto


def test_curves_are_of_accuracies_that_are_measured(make):
    with pytest.raises(ConfigError, match="12:20: no cell has 'map_rescored': metric 'rescore'"):
        make(f"{GRID}report: {{curves: [[map_rescored, bits]]}}\n")


def test_of_a_metric_from_elsewhere_its_own_entries_tell(make, monkeypatch):
    class Own(registry.METRICS.get("params")):
        version = 1
        entries = (MetricEntry("mine", "mine", "", "cost", "exact"),)

    monkeypatch.setitem(registry.METRICS._registered, "own", Own)
    Own.__module__ = "own"
    assert make(f"{GRID}measure: {{own: {{}}}}\nreport: {{pareto: [[map, 'mine@5']]}}\n").pareto
    with pytest.raises(ConfigError, match="no cell has 'energy_j'"):
        make(f"{GRID}measure: {{own: {{}}}}\nreport: {{pareto: [[map, energy_j]]}}\n")


def test_every_number_is_given_by_a_metric():
    shipped = {name for name in METRICS.names() if METRICS.get(name).__module__.startswith(METRICS.package)}
    assert shipped == set(NAMES)
    assert all(measured_by(entry.name) for entry in ENTRIES)
    assert measured_by(catalogue.base_name(WHOLE)) == ["latency", "search"]


@pytest.mark.parametrize("folder", ["quick", "methods", "reality"])
def test_records_have_no_number_but_those_foretold(folder):
    for record in load_results(Path("results/published") / folder).records:
        if record.finished:
            assert set(record.metrics) <= set(given(record.params, record.cell.protocol))
