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


#: Networks of the grids below: multiply-adds and size of images.
NETWORKS = {
    "timm:test_byobnet": (1.26e6, 32),
    "timm:test_resnet": (4.09e6, 32),
    "timm:test_resnet at 64": (16.3e6, 64),
    "timm:mobilenetv3_small_050": (6.2e6, 32),
    "cukd_v1": (22.6e6, 32),
    "cukd_v2": (24.1e6, 32),
    "timm:mobilenetv3_large_100": (92.0e6, 64),
}
TEACHERS = {"efficientnet_lite0": (31.4e6, 64), "efficientnet_lite2": (70.5e6, 64), "resnet50": (337e6, 64)}
METHODS = {
    **{"none": 0.0, "cukd": 0.07, "ranking": 0.075, "rkd": 0.03, "logits": 0.04, "cdd": 0.06},
    **{"whiten_mtd": 0.05, "retrieval": 0.02, "supcon": 0.055, "fitnet": 0.015, "crd": 0.045},
}


def grid(networks, methods, losses, lengths, teachers, seeds=3):
    """Records of a crossed grid; accuracy rises with the logarithm of the cost, by .25 over two decades.

    Args:
        methods: name -> teachers, each a variant of the method.
        teachers: with a record for each loss and length.
    """
    chance = random.Random(7)
    records = []

    def add(name, method, teacher, loss, bits, gain):
        macs, size = (NETWORKS | TEACHERS)[name]
        value = 0.55 + 0.125 * np.log10(macs / 1e6) + gain + chance.gauss(0, 0.01)
        value += {"csq": 0.0, "dch": 0.015}.get(loss, 0.0) + 0.02 * np.log2(bits / 16)
        for seed in range(seeds):
            record = recorded.make_record(name.removesuffix(" at 64"), method, loss, bits, seed)
            changes = {"image_size": size, "teachers": [teacher] if teacher else []}
            record = priced(record, macs + 2048 * bits, min(value + chance.gauss(0, 0.01), 0.97), **changes)
            identity = f"{name} {method} {teacher} {loss} {bits} {seed}"
            update = {"key": identity, "cell_key": identity}
            params = {**record.params, "teachers": [{"weights": "default"}] * bool(teacher)}
            records.append(record.model_copy(update={**update, "params": params}))

    for name, (method, variants), loss, bits in itertools.product(networks, methods.items(), losses, lengths):
        for number, teacher in enumerate(variants):
            add(name, method, teacher, loss, bits, METHODS[method] + 0.015 * number)
    for name, loss, bits in itertools.product(teachers, losses, lengths):
        add(name, "none", None, loss, bits, 0.08)
    return records


def tradeoff(seeds=3):
    """92 rows: seven students, none and a method with two teachers, two losses, two lengths; the teachers."""
    two = ("efficientnet_lite0", "efficientnet_lite2")
    return grid(NETWORKS, {"none": (None,), "cukd": two}, ("csq", "dch"), (16, 64), two, seeds)


def taught():
    """Ten methods and none, with the teachers that they have."""
    others = {"none": None, "cdd": "resnet50", "whiten_mtd": "efficientnet_lite2"}
    return {method: (others.get(method, "efficientnet_lite0"),) for method in METHODS}


def lengths_together():
    """Four losses and two lengths, too many for a panel each: lengths share a panel."""
    two = ("efficientnet_lite0", "efficientnet_lite2")
    methods = {"none": (None,), "cukd": two}
    return grid([*NETWORKS][:4], methods, ("csq", "dch", "dpn", "dpsh"), (16, 64), two[:1])


def all_methods(networks=("cukd_v1",)):
    """Ten methods and none under two losses, beside three teachers: 28 rows of one student."""
    return grid(networks, taught(), ("csq", "dch"), (32,), TEACHERS)


def one_loss():
    """58 rows that nothing splits: five students, ten methods and none, three teachers."""
    return grid([*NETWORKS][:5], taught(), ("dch",), (32,), TEACHERS)
