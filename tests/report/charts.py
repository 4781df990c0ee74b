"""Records that charts are drawn from in the tests, and what is found in the drawings."""

import itertools
import random
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np

from bench.report.charts import plots
from bench.report.charts.files import FORMATS
from bench.report.charts.styles import Styles
from bench.results.folder import Results
from bench.results.fronts import front_of
from bench.results.summary import summarise
from tests import recorded

PUBLISHED = Path(__file__).parents[2] / "results" / "published"


def fronts_of(records, accuracy="map", cost="macs"):
    summary = summarise(Results(None, "fashion", [], records, []))
    return Styles(summary.groups), [front_of(group, accuracy, cost, 0.02) for group in summary.groups]


def draw(records, accuracy="map", cost="macs"):
    styles, fronts = fronts_of(records, accuracy, cost)
    return [plots.pareto_chart("fashion", front, styles, FORMATS) for front in fronts]


def figure_of(records, accuracy="map", cost="macs"):
    styles, (front,) = fronts_of(records, accuracy, cost)
    with plots.look():
        return plots.draw("fashion", front, styles)


def words(svg):
    return [
        "".join(text.itertext()).strip()
        for text in ET.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")
    ]


def priced(record, macs, accuracy=None, **changes):
    """The same record at another cost, accuracy, ..."""
    metrics = dict(record.metrics)
    metrics["macs"] = metrics["macs"].model_copy(update={"value": macs})
    if accuracy is not None:
        interval = (accuracy - 0.01, accuracy + 0.01)
        update = {"value": accuracy, "interval": interval}
        metrics["map@all:expected:relevant"] = metrics["map@all:expected:relevant"].model_copy(update=update)
    cell = record.cell.model_copy(update=changes)
    return record.model_copy(update={"metrics": metrics, "cell": cell})


def two_students():
    """Two students with and without distillation, two losses, three seeds; a teacher of larger images."""
    cells = {
        ("timm:test_resnet", "none", "csq"): (4.09e6, 0.81, 32),
        ("timm:test_resnet", "none", "dch"): (4.09e6, 0.75, 32),
        ("timm:test_resnet", "cukd", "csq"): (4.09e6, 0.915, 32),
        ("timm:test_resnet", "cukd", "dch"): (4.09e6, 0.885, 32),
        ("cukd_v1", "none", "csq"): (22.6e6, 0.868, 32),
        ("cukd_v1", "none", "dch"): (22.6e6, 0.842, 32),
        ("cukd_v1", "cukd", "csq"): (22.6e6, 0.931, 32),
        ("cukd_v1", "cukd", "dch"): (22.6e6, 0.918, 32),
        ("efficientnet_lite0", "none", "csq"): (31.4e6, 0.962, 64),
        ("efficientnet_lite0", "none", "dch"): (31.4e6, 0.949, 64),
    }
    return [
        priced(recorded.make_record(*point, 32, seed), macs, value + 0.006 * (seed - 1), image_size=size)
        for point, (macs, value, size) in cells.items()
        for seed in range(3)
    ]


def long_names():
    name = "timm:a_network_with_a_very_long_name_that_goes_on_and_on.and_its_tag_in1k"
    schedules = [
        f"{i}: a long schedule of learning rates that somebody wrote into the grid" for i in range(4)
    ]
    students = [
        recorded.make_record(
            name,
            *parts,
            params={"loss": {"first": schedules[epochs], "then": schedules[-epochs], "epochs": epochs}},
        )
        for epochs, *parts in itertools.product((1, 2, 3), ("none", "cukd"), ("csq", "dch"))
    ]
    return [*students, recorded.make_record("efficientnet_lite0", "none", "csq", 32)]


def long_everything():
    """A long data set, processor and cost, as a plug-in may name them."""
    record = recorded.make_record(
        dataset="a data set with a long name " * 9,
        environment={"cpu": "A Processor With Many Words In Its Name " * 4},
        protocol={"split": "a-split-" * 20},
    )
    cost = record.metrics["macs"].model_copy(update={"unit": "a unit of many words " * 3, "value": 8.87e11})
    metrics = {**record.metrics, "a cost that a plug-in gives a long name " * 3: cost}
    return [record.model_copy(update={"metrics": metrics})]


def many(count=60, methods=("none", "cukd", "ranking", "rkd", "logits")):
    chance = random.Random(1)
    records = []
    for i in range(count):
        cost = 10 ** chance.uniform(6.3, 8.5)
        value = 0.4 + 0.13 * np.log10(cost / 1e6) + chance.gauss(0, 0.05)
        parts = methods[i % len(methods)], ("csq", "dch")[i % 2], (16, 32, 64)[i % 3]
        records.append(priced(recorded.make_record(f"student_{i:02d}", *parts), cost, value))
    return records
