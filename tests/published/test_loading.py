"""Published figures: every fault of a file with its place, and what the shipped files hold."""

from __future__ import annotations

import pytest

from bench.errors import ConfigError
from bench.published import load_published
from bench.published.loading import FOLDER
from bench.registry import DATASETS, LOSSES, METHODS
from bench.results.published import SHARES

GOOD = """\
schema: 1
sources:
  readme: {title: Somebody, url: "https://example.org", revision: abc}
protocols:
  small: {dataset: digits, split: digits-*, metric: map@all}
  named: {dataset: digits, split: digits-*}
tables:
  - source: readme
    where: its table
    network: AlexNet
    bits: 48
    rule: index:hits
    selection: last
    rows:
      - {system: DCH, loss: dch, values: {small: 0.768}}
      - {system: CSQ, bits: 64, costs: {params: 5.0}, values: {named: {"map_reid": 0.5, "cmc@1": 0.25}}}
counts:
  - {network: AlexNet, source: readme, where: counted, bits: 16, inputs: 4, costs: {params: 105, macs: 100}}
not_found:
  - {method: cukd, system: a system, what: its mAP, where: the abstract}
"""


def load(folder, text=GOOD):
    (folder / "figures.yaml").write_text(text)
    return load_published(folder)


def test_a_row_has_what_its_table_says_and_its_own(tmp_path):
    published = load(tmp_path)
    dch, csq = published.figures
    assert (dch.name, dch.data, dch.dataset, dch.loss) == ("DCH · AlexNet · 48 bit", "small", "digits", "dch")
    assert dch.values == {"map@all:index:hits": 0.768}
    assert (dch.source, dch.url) == ("Somebody (abc), its table", "https://example.org")
    assert (dch.selected, csq.bits) == ("last epoch", 64)
    assert csq.values == {"map_reid": 0.5, "cmc@1": 0.25, "params": 5.0}
    (count,) = published.counts
    # Four products and a bias for each bit.
    assert [count.cost(name, 18) for name in ("params", "macs", "latency_ms")] == [115, 108, None]
    assert [str(one) for one in published.not_found] == ["a system: its mAP (the abstract)"]


def test_sizes_need_not_be_square(tmp_path):
    text = GOOD.replace("    bits: 48\n", "    bits: 48\n    image_size: 320x160\n")
    published = load(tmp_path, text.replace("inputs: 4", "inputs: 4, image_size: 160x320"))
    assert {one.image_size for one in published.figures} == {"320x160"}
    assert [one.image_size for one in published.counts] == ["160x320"]


def test_a_row_may_have_been_trained_for_longer_than_its_table(tmp_path):
    text = GOOD.replace("    bits: 48\n", "    bits: 48\n    epochs: 150\n    note: unseeded\n")
    text = text.replace("bits: 64,", "bits: 64, epochs: 200,")
    assert [one.notes for one in load(tmp_path, text).figures] == [
        "150 epochs; unseeded",
        "200 epochs; unseeded",
    ]
    assert [one.notes for one in load(tmp_path).figures] == ["", ""]


def test_without_a_known_rule_the_metric_has_none(tmp_path):
    dch, _ = load(tmp_path, GOOD.replace("    rule: index:hits\n", "")).figures
    assert dch.values == {"map@all": 0.768}


@pytest.mark.parametrize(
    ("old", "new", "at", "expected"),
    [
        ("where: its", "were: its", "were:", "unknown key 'were'; did you mean 'where'?"),
        ("source: readme\n", "source: raedme\n", "raedme", "unknown source 'raedme'; did you mean 'readme'?"),
        ("small: 0.768", "smal: 0.768", "smal:", "unknown protocol 'smal'; did you mean 'small'?"),
        ("small: 0.768", "small: {map: 0.768}", "{map:", "small should be a number"),
        ('{"map_reid": 0.5, "cmc@1": 0.25}', "0.51", "0.51", "named should be numbers by metric, as the"),
        ('"map_reid"', '"map_read"', '"map_read', "no metric gives 'map_read'; did you mean 'map_reid'"),
        ("metric: map@all", "metric: mpa@all", "mpa@all", "no metric gives 'mpa@all'; did you mean 'map'"),
        ("0.768", "-0.768", "-0.768", "tables.rows.values.small should be greater than or equal to 0"),
        ("    network: AlexNet\n", "", "{system: DCH", "'DCH' has no network; name it here or in its table"),
        ("{params: 105,", "{parms: 105,", "parms:", "no metric gives 'parms'; did you mean 'params'"),
        ("last", "lats", "lats", "tables.selection should be 'last', 'best_on_test' or 'unknown'"),
        (
            "    bits: 48\n",
            "    image_size: 320x\n",
            "320x\n",
            "tables.image_size should be a side in pixels, or",
        ),
        ("schema: 1", "schema: 2", "2", "schema should be 1, not 2"),
        (GOOD, "- 1\n", "- 1", "published figures are a mapping; see bench/published/deephash.yaml"),
        ("where: its table", "where: a\n    where: b", "where: b", "duplicate key 'where'; remove one"),
    ],
)
def test_every_fault_has_a_place_and_a_cure(tmp_path, old, new, at, expected):
    text = GOOD.replace(old, new, 1)
    before = text[: text.index(at)]
    place = f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text)
    fault, *_ = (str(problem).replace(f"{tmp_path}/", "") for problem in caught.value.problems)
    assert fault.startswith(f"figures.yaml:{place}: {expected}"), fault
    assert "\n" not in fault


def test_what_is_shipped_names_what_the_suite_has():
    published = load_published()
    known = {"dataset": DATASETS, "method": METHODS, "loss": LOSSES}
    for figure in published.figures:
        for field, registry in known.items():
            name = getattr(figure, field)
            assert not name or name in registry.names(), (figure.name, name)
        assert all(0 < value <= 1 for name, value in figure.values.items() if name != "params"), figure
        assert figure.source
        assert figure.url.startswith("https://")
        assert figure.split or not figure.dataset
    assert {one.method for one in published.not_found} == {"cukd", "ranking", "cdd", "whiten_mtd"}
    assert all(missing.method in METHODS.names() for missing in published.not_found)


def test_what_is_shipped_holds_the_headers_of_deephash():
    figures = load_published().figures
    dch = [one for one in figures if one.system == "DCH" and one.data == "cifar10-1"]
    assert [(one.values, one.selection) for one in dch] == [
        ({"map@all:index:hits": 0.768}, "last"),
        ({"map@all:index:hits": 0.810}, "best_on_test"),
    ]
    # A paper's own figure, quoted by somebody else, has no known tie rule.
    quoted = next(one for one in figures if "quoted" in one.source and one.data == "cifar10-1")
    assert (quoted.system, quoted.values, quoted.selected) == ("DSH", {"map@all": 0.6755}, "")
    # Of one figure, the README says the best epoch, and its author's later run the last.
    hashnet = [one for one in figures if one.system == "HashNet" and one.data == "cifar10"]
    assert {(one.values["map@all:index:hits"], one.selection) for one in hashnet} == {
        (0.782, "unknown"),
        (0.782, "last"),
        (0.797, "best_on_test"),
    }
    assert next(one for one in hashnet if one.selection == "unknown").notes == (
        "150 epochs; the best epoch, as the README says; the last, as the author's later run does"
    )
    (cdd,) = (one for one in figures if one.system == "CDD")
    assert cdd.values == {"params_saved": 0.6713, "macs_saved": 0.6567}
    assert set(cdd.values) <= set(SHARES)


def test_what_is_shipped_says_how_long_networks_were_trained():
    figures = load_published().figures
    assert {one.epochs for one in figures if one.loss == "dch"} == {150}
    printed = [
        one for one in figures if one.loss and "quoted" not in one.source and "again" not in one.source
    ]
    assert {(one.loss == "greedyhash", one.epochs) for one in printed if one.system != "CDD"} == {
        (False, 150),
        (True, 200),
    }
    # What a paper did is not what the code that quotes it does.
    assert {one.epochs for one in figures if "quoted" in one.source} == {0}


def test_what_is_shipped_was_counted_at_the_size_of_people():
    sizes = {count.image_size: count.costs["macs"] for count in load_published().counts if count.image_size}
    assert sizes["320x160"] == 10.12e9


@pytest.mark.parametrize(
    ("student", "bits", "params"), [("cukd_v1", 64, 3_437_056), ("cukd_v2", 64, 5_060_352)]
)
def test_counts_follow_the_code_length(student, bits, params):
    (count,) = (one for one in load_published().counts if one.student == student)
    assert count.cost("params", bits) == params


def test_the_wheel_has_the_files():
    assert "published/*.yaml" in (FOLDER.parents[1] / "setup.cfg").read_text()
    assert {path.name for path in FOLDER.glob("*.yaml")} == {
        *("cdd.yaml", "cukd.yaml", "deephash.yaml", "landmarks.yaml")
    }
