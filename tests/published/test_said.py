"""What texts say of published results is what `compare` says of their records."""

from __future__ import annotations

import itertools
import re
import statistics
from pathlib import Path

import pytest

from bench.comparison.compare import compare
from bench.results.folder import load_results

ROOT = Path(__file__).parents[2]
METHODS = (ROOT / "bench/methods/README.md").read_text()


def signed(found) -> str:
    low, high = found.interval
    difference = round(found.difference, 3) + 0.0  # no negative zero
    return f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]"


@pytest.fixture(scope="module")
def methods():
    return load_results(ROOT / "results/published/methods")


def test_every_method_stands_with_its_gain(methods):
    table = METHODS[METHODS.index("## What they add") : METHODS.index("## As published")]
    said = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", table, re.MULTILINE))
    assert said.keys() == {record.cell.method for record in methods.records} - {"none"}
    for method, gain in said.items():
        found = compare(methods, methods, base_only={"method": "none"}, new_only={"method": method})
        assert len(found.pairs) == 2
        assert gain.startswith(signed(found.overall)), (method, signed(found.overall))
    macs = {
        record.cell.method: record.metrics["macs"].value
        for record in methods.records
        if record.cell.student == "efficientnet_lite0"
    }
    assert f"at {macs['cdd'] / macs['none']:.0%} of its MACs".replace("%", " %") in said["cdd"]


def test_nested_lengths_stand_with_their_differences():
    nested = load_results(ROOT / "results/published/nested")
    text = (ROOT / "results/README.md").read_text()
    table = text[text.index("## What nested lengths cost") :].partition("\n## ")[0]
    said = {
        row[0]: row[1:] for row in re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \| (.*) \|$", table, re.MULTILINE)
    }
    assert said.keys() == {record.cell.loss for record in nested.records}
    for loss, cells in said.items():
        several = f"{loss}[nested=16+32+64]"
        found = compare(nested, nested, base_only={"loss": loss}, new_only={"loss": several})
        pairs = sorted(found.pairs, key=lambda pair: pair.name.bits)
        assert [pair.name.bits for pair in pairs] == [16, 32, 64]
        assert {pair.verdict for pair in pairs} <= {"better", "no difference shown"}
        expected = [f"**{signed(one)}**" if one.verdict == "better" else signed(one) for one in pairs]
        assert list(cells) == expected, loss


def test_cached_views_stand_with_their_differences_from_new_ones():
    views = load_results(ROOT / "results/published/views")
    text = (ROOT / "results/README.md").read_text()
    section = text[text.index("## How many views to cache") :].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| ")]
    (_, *counts), (_, *cells) = rows
    for count, cell in zip(counts, cells, strict=True):
        chosen = {"method": f"cukd[views={count}]"}
        found = compare(views, views, base_only={"method": "cukd[views=online]"}, new_only=chosen)
        (pair,) = found.pairs
        assert pair.verdict in {"worse", "no difference shown"}
        assert cell == (f"**{signed(pair)}**" if pair.verdict == "worse" else signed(pair)), count
    seconds = {
        views: statistics.mean(one.stages["distill"].seconds for one in of_views)
        for views, of_views in itertools.groupby(
            sorted(views.records, key=lambda one: str(one.params["method"]["views"])),
            lambda one: one.params["method"]["views"],
        )
    }
    times = seconds["online"] / seconds[16]
    assert f"whose step 1 took {times:.1f} times as long" in " ".join(section.split())


def test_what_longer_training_changes():
    longer = load_results(ROOT / "results/published/longer")
    text = " ".join((ROOT / "README.md").read_text().split())
    found = compare(longer, longer, base_only={"method": "none"}, new_only={"method": "cukd*"})
    gains = {"200" if "200" in pair.name.loss else "50": signed(pair) for pair in found.pairs}
    assert f"still gains {gains['200']}, where it was {gains['50']} (dch, 64 bits" in text


def test_how_far_latencies_of_two_runs_are_apart_is_said(methods):
    def latency(results, bits):
        (value,) = {
            f"{record.metrics['latency_ms@1'].value:.1f}"
            for record in results.records
            if (record.cell.student, record.cell.image_size) == ("timm:test_resnet", 32)
            and (record.cell.bits, record.cell.method) == (bits, "none")
        }
        return value

    tradeoff = load_results(ROOT / "results/published/tradeoff")
    text = " ".join((ROOT / "README.md").read_text().split())
    here, later = latency(tradeoff, 64), latency(methods, 32)
    assert f"test_resnet at 32 pixels, {here} ms here, takes {later} ms in [a later" in text
