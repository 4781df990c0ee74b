"""A results folder in which the number of labels differs: what curves are drawn from."""

from __future__ import annotations

import itertools
import json

import numpy as np

from bench.results import records
from bench.results.folder import ResultsFolder, load_results, save_index
from bench.storage.keys import content_key, file_name
from tests.recorded import make_record
from tests.scored import MAP, QUERIES, scores_of

LABELS = (5, 10, 20, 50, 200, 500)
PATH = "dataset.train_per_class"


def split_of(labels, queries=100, images="the same"):
    """The manifest of a split whose training images alone depend on the number of labels."""
    return {
        "protocol": f"fashion_mnist-balanced-q{queries}-t{labels}-d500-s0",
        "images_sha256": images,
        "query": [[0, queries]],
        "train": [[1000, 1000 + labels]],
        "val": [],
        "database": [[1000, 2000]],
    }


def quality(student, method, loss, labels):
    """An accuracy that distillation raises where labels are few."""
    base = 0.33 + 0.085 * np.log(labels / 5) + {"dch": 0.02}.get(loss, 0.0)
    base += {"cukd_v2": 0.03, "efficientnet_lite0": 0.06}.get(student, 0.0)
    gain = {"none": 0.0, "cukd": 0.16, "ranking": 0.14}[method] * np.exp(-np.log(labels / 5) / 2.2)
    return float(base + gain)


def labelled(
    labels=LABELS,
    students=("cukd_v1",),
    methods=("none", "cukd"),
    losses=("csq",),
    bits=(32,),
    seeds=3,
    teacher=True,
    split=split_of,
    protocol=None,
    **kwargs,
):
    """Records and splits: one record for every combination, and the teacher's."""
    parts = [*itertools.product(students, methods, losses, bits)]
    parts += [("efficientnet_lite0", "none", losses[0], bits[0])] * teacher
    found = []
    for number, (student, method, loss, length), seed in itertools.product(labels, parts, range(seeds)):
        manifest = split(number)
        record = make_record(
            student,
            method,
            loss,
            length,
            seed,
            protocol={
                "split": manifest["protocol"],
                "manifest": content_key(manifest)[:12],
                **(protocol or {}),
            },
            params={"dataset": {"train_per_class": number, "database_per_class": 500, "split_seed": 0}},
            **kwargs,
        )
        wobble = (np.random.default_rng([seed, number, len(method)]).normal()) * 0.03 / np.sqrt(number / 5)
        value = quality(student, method, loss, number) + float(wobble)
        metric = record.metrics[MAP].model_copy(
            update={"value": value, "interval": (value - 0.01, value + 0.01)}
        )
        found.append((record.model_copy(update={"metrics": {**record.metrics, MAP: metric}}), manifest))
    return found


def write_curved(folder, cells, curves=(("map", PATH),), *, scored=False, splits=True):
    """Write a results folder and read it back; with scores by query on wish."""
    from safetensors.numpy import save_file

    place = ResultsFolder(folder)
    index = {record.cell_key: f"cell-{i}" for i, (record, _) in enumerate(cells)}
    save_index(folder, "labels", [], index, curves=curves)
    for i, (given, manifest) in enumerate(cells):
        record, stem = given, f"{i:03d}"
        if scored:
            scores = scores_of(record.metrics[MAP].value, record.cell.seed, QUERIES)
            metric = record.metrics[MAP].model_copy(update={"value": float(scores.mean())})
            record = record.model_copy(update={"metrics": {**record.metrics, MAP: metric}})
            place.scores(stem).parent.mkdir(parents=True, exist_ok=True)
            save_file({MAP: scores.astype(np.float32)}, place.scores(stem))
        records.save(record, place.record(stem))
        path = place.split(file_name(manifest["protocol"], content_key(manifest)))
        path.parent.mkdir(parents=True, exist_ok=True)
        if splits:
            path.write_text(json.dumps(manifest) + "\n")
    return load_results(folder)
