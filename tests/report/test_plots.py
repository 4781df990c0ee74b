import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bench.records import Metric, Results
from bench.report import plots
from bench.report.labels import place
from bench.report.rows import summarise
from bench.report.styles import Styles


def draw(records, accuracy="map", cost="macs"):
    summary = summarise(Results(None, "fashion", [], records, [], 0))
    styles = Styles(summary.groups)
    return [plots.pareto_chart(summary.name, group, accuracy, cost, styles) for group in summary.groups]


def words(svg):
    return [
        "".join(text.itertext()).strip()
        for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def test_chart_names_every_point_and_what_it_means(run_records):
    (chart,) = draw(run_records)
    assert chart["png"].startswith(b"\x89PNG")
    text = "\n".join(words(chart["svg"]))
    for method in ("none", "cukd"):
        for loss in ("csq", "dch"):
            for bits in (16, 32):
                assert f"cukd_v1 · {method} · {loss} · {bits} bit" in text
    for expected in (
        "efficientnet_lite0 (teacher) · none · csq · 32 bit",
        "fashion · fashion_mnist: mAP@all against MACs",
        "MACs (M), less is better",
        "mAP@all, more is better",
        "Pareto front",
        "best teacher (no. 1)",
        "best without distillation",
        "95 % interval over seeds (Student's t, n = 3)",
        "Example CPU 16-Core · 8 threads · fp32",
    ):
        assert expected in text


def test_same_records_same_bytes(run_records, monkeypatch):
    first = draw(run_records)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    assert draw(run_records) == first


def test_limited_runs_have_no_front(make_record):
    (chart,) = draw([make_record(bits=bits, protocol={"limit": 10}) for bits in (16, 32)])
    text = "\n".join(words(chart["svg"]))
    assert "NOT COMPARABLE" in text
    assert "Pareto front" not in text


def test_costs_over_decades_get_a_logarithmic_axis(make_record):
    records = []
    for i, bits in enumerate((16, 32, 64)):
        record = make_record(bits=bits)
        macs = record.metrics["macs"].model_copy(update={"value": 1e8 * 10**i})
        records.append(record.model_copy(update={"metrics": {**record.metrics, "macs": macs}}))
    (chart,) = draw(records)
    assert {"0.1", "1", "10"} <= set(words(chart["svg"]))


def test_a_cost_of_which_more_is_better(make_record):
    record = make_record()
    speed = Metric(value=500.0, unit="images/s", higher_is_better=True, noise="timed")
    record = record.model_copy(update={"metrics": {**record.metrics, "throughput_ips@64": speed}})
    (chart,) = draw([record], cost="throughput_ips")
    assert "throughput, batch 64 (images/s), more is better →" in words(chart["svg"])


def test_no_chart_without_both_metrics(make_record):
    assert draw([make_record()], cost="energy") == [{}]


def test_any_name_can_be_drawn(make_record):
    hostile = r"_$x_1$ <b>&amp; \frac{1} 日本" + "\x00\n"
    records = [make_record(hostile, loss=hostile, bits=16), make_record(hostile, "_m", bits=16)]
    (chart,) = draw(records)
    assert any(r"_$x_1$ <b>&amp; \frac{1} 日本 · cukd" in text for text in words(chart["svg"]))


def test_the_key_breaks_into_columns(make_record, monkeypatch):
    monkeypatch.setattr(plots, "_KEY_LINES", 2)
    (chart,) = draw([make_record(bits=bits) for bits in (8, 16, 32, 64, 128)])
    assert sum("cukd_v1 · cukd" in text for text in words(chart["svg"])) == 5


@pytest.mark.parametrize("n", [1, 12, 30])
def test_labels_of_a_stack_cover_neither_each_other_nor_markers(n):
    anchors = np.column_stack([np.full(n, 100.0), np.linspace(50, 450, n)])
    sizes, radii = np.tile([11.0, 8.0], (n, 1)), np.full((n, 1), 4.0)
    offsets = place(anchors, sizes, radii, np.array([0.0, 0.0, 500.0, 500.0]))
    centres = anchors + offsets
    for i in range(n):
        apart = np.abs(centres - centres[i]) >= sizes[i] - 1e-9
        apart[i] = True
        assert apart.any(axis=1).all()
        assert (np.abs(anchors - centres[i]) >= sizes[i] / 2 + radii - 1e-9).any(axis=1).all()
