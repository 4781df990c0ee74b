"""Cells whose codes are read back as vectors: how they are compared, what they store, what they are not."""

from __future__ import annotations

import json
from pathlib import Path

import faiss
import numpy as np
import pytest
from safetensors.numpy import load_file

from bench.data import loading
from bench.hamming import average_precision_from_histograms
from bench.results import commands
from bench.results.folder import load_results
from tests.left import artifacts, loaded

COMPRESSED = "pq", "rabitq"
BITS = 72
#: Of cells in which timings do not matter.
CHEAP = [
    *("--set", "report.examples=2"),
    *(word for name in ("latency", "peak_memory") for word in ("--set", f"measure.{name}=false")),
]


def edit(losses=("none", "lsh", *COMPRESSED), bits=f"[{BITS}]", images=100):
    old = """\
  dataset: [synthetic]
  teacher: [tiny_teacher]
  student: [tiny_student]
  method: [none, {name: cukd, params: {views: 2, teacher_image_size: 16}}]
  loss: [csq, dch]
  bits: [16]
"""
    return (
        old,
        f"""\
  dataset: [{{name: synthetic, params: {{per_class: {images}}}}}]
  teacher: [tiny_teacher]
  student: [tiny_student]
  method: [none, {{name: cukd, params: {{views: 2, teacher_image_size: 16}}}}]
  loss: [{", ".join(losses)}]
  bits: {bits}
""",
    )


@pytest.fixture
def records(tiny):
    """By loss: beside embeddings and bits."""
    done = tiny("run", *CHEAP, "--only", "method=none", edit=edit())
    assert done.code == 0, done.err
    return {one.cell.loss: one for one in loaded(Path("results/tiny"))}


def features_of(folder):
    (trunk,) = artifacts(folder, "trunk")
    features = load_file(trunk / "features.safetensors")["features"]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True).clip(1e-12)
    places = load_file(trunk / "images.safetensors")["images"]
    return lambda indices: unit[np.searchsorted(places, indices)].astype(np.float32)


def test_cells_stand_at_their_bits_beside_others(records):
    assert all(record.status == "ok" for record in records.values())
    bits = {loss: one.cell.bits for loss, one in records.items()}
    assert bits == {"none": 0, **dict.fromkeys(("lsh", *COMPRESSED), BITS)}
    for loss, record in records.items():
        stored = 12 * 4 if loss == "none" else BITS / 8
        assert record.metrics["code_bytes"].value == stored
        if loss not in COMPRESSED:
            continue
        assert record.stages["fit"].summary["codebook_bytes"] > 0
        assert not record.warnings
        # What a network costs is what its trunk does.
        bare, beside = records["none"], records["lsh"]
        for name in ("params", "macs", "weights_mb"):
            assert record.metrics[name].value == bare.metrics[name].value < beside.metrics[name].value
        for role in ("measure/params", "measure/macs"):
            assert record.stages[role].key == bare.stages[role].key
        # An index over what is read back, or the variety of its vectors, would be those of other bytes.
        assert not {"index_bytes", "search_qps", "distinct_codes"} & record.metrics.keys()
        assert "map@all:index:hits" in record.metrics


@pytest.mark.parametrize("method", ["none", "cukd"])
def test_databases_are_ranked_as_by_the_index_of_product_codes(tiny, folder, method):
    done = tiny("run", *CHEAP, "--only", f"method={method}", edit=edit(["pq"]))
    assert done.code == 0, done.err
    (record,), unit = loaded(Path("results/tiny")), features_of(folder)
    data = loading.load("synthetic", record.params["dataset"], Path("data"), None)
    (fit,) = artifacts(folder, "fit")
    # Of 12 numbers in 9 parts, the first three have two; a 0 makes the others as long.
    wide = np.insert(np.eye(12, dtype=np.float32), [7, 8, 9, 10, 11, 12], 0, axis=1)
    index = faiss.IndexPQ(18, 9, 8)
    faiss.copy_array_to_vector(
        load_file(fit / "codebook.safetensors")["centroids"].ravel(), index.pq.centroids
    )
    index.is_trained = True
    index.add(unit(data.splits.database) @ wide)
    squared, found = index.search(unit(data.splits.query) @ wide, len(data.splits.database))
    (encode,) = artifacts(folder, "encode")
    vectors = load_file(encode / "codes.safetensors")
    products = vectors["query"] @ vectors["database"].T
    np.testing.assert_allclose(np.take_along_axis(products, found, axis=1), 1 - squared / 2, atol=1e-5)
    # The record's mAP is that of these similarities, of equal ones on average over their orders.
    scores = []
    for row, label in zip(products, data.images.labels[data.splits.query], strict=True):
        values, place = np.unique(-row, return_inverse=True)
        counts = np.bincount(place, minlength=len(values))
        relevant = data.images.labels[data.splits.database] == label
        hits = np.bincount(place[relevant], minlength=len(values))
        scores.append(average_precision_from_histograms(counts[None], hits[None])[0])
    assert record.metric("map")[1].value == pytest.approx(np.mean(scores), abs=1e-3)


def test_features_are_computed_once_for_what_is_compressed_too(records, folder):
    assert len(artifacts(folder, "trunk")) == 1
    for path in artifacts(folder, "encode"):
        index = json.loads((path / "artifact.json").read_text())
        assert ("trunk" in index["inputs"]) == ("__float__" not in path.name)


def test_bits_and_what_is_read_back_are_compared_query_by_query(records, bench):
    for loss in COMPRESSED:
        done = bench("compare", "results/tiny", "--a", "loss=lsh", "--b", f"loss={loss}", "--metric", "map")
        assert done.code == 0, done.err
        assert "20 queries" in done.out


def test_several_views_are_put_together_before_they_are_compressed(tiny, folder):
    options = ("--only", "method=none", "--set", "defaults.encode.flip=true")
    assert tiny("run", *CHEAP, *options, edit=edit(COMPRESSED)).code == 0
    assert [record.status for record in loaded(Path("results/tiny"))] == ["ok", "ok"]
    for path in artifacts(folder, "encode"):
        assert list(json.loads((path / "artifact.json").read_text())["inputs"]) == ["fit"]


def test_bundles_are_refused_with_what_to_take(records, bench):
    for loss in COMPRESSED:
        record = records[loss]
        done = bench("export", record.key[:12], "bundle")
        assert done.code == 2
        cure = "export the cell of tiny_student with loss none, and compress its embeddings with FAISS"
        assert f"{loss} compresses features with a codebook, which bundles do not have; {cure}" in done.err
        assert not Path("bundle").exists()
        results = load_results(Path("results/tiny"))
        assert commands.export(results, record) == ""
        assert commands.export(results, records["lsh"])


@pytest.mark.parametrize(
    ("loss", "images", "cure"),
    [
        ("pq", 100, "take more images, or loss itq"),
        ("{name: pq, params: {pool: train}}", 80, "take pool: database, more images, or loss itq"),
    ],
)
def test_a_pool_without_enough_images_is_told_before_anything_is_made(tiny, loss, images, cure):
    done = tiny("run", *CHEAP, "--only", "method=none", edit=edit([loss], images=30))
    assert done.code == 2
    assert f"loss 'pq': looks for 256 centroids among the features of {images} images; {cure}" in done.err


def test_reports_say_what_the_bits_are(records, bench):
    done = bench("report", "results/tiny")
    assert done.code == 0, done.err
    table = Path("results/tiny/report/table.md").read_text()
    assert (
        "- pq, rabitq: bits stored of an image, read back as vectors that float queries are compared" in table
    )


def test_what_is_recommended_and_cannot_be_exported_is_no_offer(tiny):
    done = tiny("run", *CHEAP, "--only", "method=none", edit=edit(["pq"]))
    assert done.code == 0
    assert "Smallest student within 0.02" in done.out
    assert "take it away" not in done.out
