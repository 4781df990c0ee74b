import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bench.records import Metric, Results
from bench.report import plots
from bench.report.fronts import front_of
from bench.report.labels import place
from bench.report.rows import summarise
from bench.report.styles import Styles


def draw(records, accuracy="map", cost="macs"):
    summary = summarise(Results(None, "fashion", [], records, []))
    styles = Styles(summary.groups)
    fronts = [front_of(group, accuracy, cost, 0.02) for group in summary.groups]
    return [plots.pareto_chart(summary.name, front, styles) for front in fronts]


def words(svg):
    return [
        "".join(text.itertext()).strip()
        for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def test_chart_names_every_point_and_what_it_means(run_records):
    (chart,) = draw(run_records)
    assert chart["png"].startswith(b"\x89PNG")
    assert chart["pdf"].startswith(b"%PDF")
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
        "smallest student within 0.02 of the best student (no. 4)",
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
    assert "throughput, batch 64 (images/s), more is better" in words(chart["svg"])


def test_any_name_can_be_drawn(make_record):
    hostile = r"_$x_1$ <b>&amp; \frac{1} 日本" + "\x00\n"
    records = [make_record(hostile, loss=hostile, bits=16), make_record(hostile, "_m", bits=16)]
    (chart,) = draw(records)
    assert any(r"_$x_1$ <b>&amp; \frac{1} 日本 · cukd" in text for text in words(chart["svg"]))


def scattered(make_record, count, spread=0.002):
    """Configurations of falling accuracy and rising cost, one seed each."""
    records = []
    for i in range(count):
        record = make_record(f"s{i:03d}", method="none" if i % 2 else "cukd", bits=16)
        metrics = dict(record.metrics)
        value = 0.9 - spread * i
        interval = (value - 0.0101, value + 0.0101)
        metrics["map@all:expected:relevant"] = metrics["map@all:expected:relevant"].model_copy(
            update={"value": value, "interval": interval}
        )
        metrics["macs"] = metrics["macs"].model_copy(update={"value": 1e6 * (i + 10)})
        records.append(record.model_copy(update={"metrics": metrics}))
    return records


def listed(chart):
    """The students that the key names."""
    names = [text.split(" · ")[0] for text in words(chart["svg"]) if text.count(" · ") == 3]
    return [name for name in names if name.startswith("s")]


def test_up_to_24_rows_are_all_listed(make_record):
    (chart,) = draw(scattered(make_record, 24))
    assert len(listed(chart)) == 24
    assert not any("see table.md" in text for text in words(chart["svg"]))


def test_of_many_rows_those_that_matter_are_listed(make_record):
    (chart,) = draw(scattered(make_record, 60))
    text = words(chart["svg"])
    # The first is on the front, and ten more have intervals that overlap with its own.
    assert listed(chart) == [f"s{i:03d}" for i in range(11)]
    assert "and 49 behind the front (small, pale), see table.md" in text
    assert "not distinguishable from the front" in text
    assert {str(number) for number in range(1, 12)} <= set(text)
    assert "12" not in text


def test_a_long_list_is_cut(make_record):
    (chart,) = draw(scattered(make_record, 100, spread=0.0001))
    assert len(listed(chart)) == 24
    assert "and 76 more not distinguishable (small, pale), see table.md" in words(chart["svg"])


def test_many_limited_rows(make_record):
    records = [make_record(f"s{i:03d}", protocol={"limit": 9}) for i in range(50)]
    (chart,) = draw(records)
    assert len(listed(chart)) == 24
    assert "and 26 others (small, pale), see table.md" in words(chart["svg"])


def test_unsteady_timings_are_marked(make_record):
    record = make_record()
    noisy = record.metrics["latency_ms@1"].model_copy(update={"detail": {"noisy": True}})
    record = record.model_copy(update={"metrics": {**record.metrics, "latency_ms@1": noisy}})
    (chart,) = draw([record], cost="latency_ms")
    text = words(chart["svg"])
    assert "cukd_v1 · cukd · csq · 32 bit †" in text
    assert any("the front may change when they are measured again" in line for line in text)


def test_rows_that_are_warned_of_are_marked(make_record):
    warned = make_record(loss="dch").model_copy(update={"warnings": ["the codes have collapsed"]})
    (chart,) = draw([make_record(), warned])
    text = words(chart["svg"])
    assert "cukd_v1 · cukd · dch · 32 bit §" in text
    assert any("§: the record carries a warning; the row may not deserve its place." in line for line in text)


def test_costs_that_are_not_fully_counted_are_marked(make_record):
    record = make_record()
    partial = record.metrics["macs"].model_copy(update={"detail": {"fully_counted": False}})
    record = record.model_copy(update={"metrics": {**record.metrics, "macs": partial}})
    (chart,) = draw([record])
    text = words(chart["svg"])
    assert "cukd_v1 · cukd · csq · 32 bit ‡" in text
    assert any("not fully counted, at least so many" in line for line in text)
    (chart,) = draw([record], cost="latency_ms")
    assert not any("‡" in line for line in words(chart["svg"]))


def test_pdf_embeds_truetype(run_records):
    (chart,) = draw(run_records)
    assert b"/FontFile2" in chart["pdf"]
    assert b"/Type3" not in chart["pdf"]
    for word in (b"CreationDate", b"Producer", b"Matplotlib"):
        assert word not in chart["pdf"]


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


def test_labels_keep_off_obstacles():
    anchors, sizes = np.array([[50.0, 50.0]]), np.array([[10.0, 8.0]])
    frame = np.array([0.0, 0.0, 100.0, 100.0])
    radii = np.array([[4.0]])
    free = place(anchors, sizes, radii, frame)
    centre = anchors + free
    blocked = place(anchors, sizes, radii, frame, obstacles=np.hstack([centre - 3, centre + 3]))
    assert (np.abs(blocked - free) >= sizes / 2 + 3 - 1e-9).any()
