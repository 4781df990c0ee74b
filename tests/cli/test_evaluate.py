"""``evaluate``: codes of the suite have the numbers of their record; those of others stand beside them."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

from bench.data import loading
from bench.hamming import evaluate
from bench.interfaces import Metric
from bench.registry import METRICS
from bench.results.folder import Results, load_results
from bench.results.records import Record
from bench.types import Measurement, MetricValue, Parameters

SIDES = ("query", "database")


class Dividing(Metric):
    """Not a number where there is nothing to divide by."""

    version, subject, noise = 1, "codes", "seeded"
    Params = Parameters

    def compute(self, subject: Any) -> Measurement:
        return Measurement({"share": MetricValue(float("nan"), "", True, "seeded")})


TINY = Path("results/tiny")


def codes_of(record: Record, folder: Path, seed: int = 0) -> dict[str, NDArray[Any]]:
    """What a cell of the suite encoded, in any order, with labels and the images' places."""
    (artifact,) = (folder / "cache/encode").glob(f"*-{record.stages['encode'].key[:12]}")
    codes = load_file(artifact / "codes.safetensors")
    data = loading.load(record.cell.dataset, record.params["dataset"], folder / "data", None)
    rng = np.random.default_rng(seed)
    found: dict[str, NDArray[Any]] = {"bits": np.array(record.cell.bits)}
    for side in SIDES:
        places = getattr(data.splits, side)
        order = rng.permutation(len(places))
        found[f"{side}_codes"] = codes[side][order]
        found[f"{side}_labels"] = data.images.labels[places][order]
        found[f"{side}_ids"] = places[order]
    return found


def some_codes(path: Path, bits: int = 16, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """Write codes of nobody, and return them."""
    rng = np.random.default_rng(seed)
    labels = np.random.default_rng(0).integers(4, size=90)
    codes = np.sign(np.eye(4, bits)[labels] * 3 + rng.standard_normal((90, bits)))
    arrays = {
        "query_codes": codes[:20], "database_codes": codes[20:],
        "query_labels": labels[:20], "database_labels": labels[20:], **changes,
    }  # fmt: skip
    kept = {name: array for name, array in arrays.items() if array is not None}
    np.savez(path, **kept)
    return kept


@pytest.fixture
def trained(done: Any, folder: Path) -> Results:
    """The tiny grid, run."""
    return load_results(TINY)


# -- Numbers -----------------------------------------------------------------------------------------


def test_codes_of_the_suite_have_the_numbers_of_their_record(trained, bench, folder):
    for record in trained.records:
        np.savez("codes.npz", **codes_of(record, folder))
        put = ("--out", "mine", "--name", "copy", "--like", TINY)
        result = bench("evaluate", "codes.npz", "--json", *put)
        assert result.code == 0, result.err
        found = json.loads(result.out)["metrics"]
        accuracies = {name: one for name, one in record.metrics.items() if one.noise == "seeded"}
        assert found.keys() == accuracies.keys()
        for name, one in accuracies.items():
            assert found[name]["value"] == pytest.approx(one.value, abs=1e-9), name
            assert found[name]["interval"] == pytest.approx(one.interval, abs=1e-9), name
            assert found[name]["detail"] == one.detail, name
        (copy,) = load_results(Path("mine")).records
        mine, theirs = load_results(Path("mine")).per_query(copy), trained.per_query(record)
        assert mine.keys() == theirs.keys()
        for name, scores in mine.items():
            np.testing.assert_allclose(scores, theirs[name], atol=1e-7)


def test_from_python_the_same_numbers_come(bench, folder):
    arrays = some_codes(folder / "codes.npz", bits=12)
    found = json.loads(bench("evaluate", "codes.npz", "--json", "--k", "10").out)
    expected = evaluate(*(arrays[f"{side}_{kind}"] for kind in ("codes", "labels") for side in SIDES), k=10)
    assert found["bits"] == expected.bits == 12
    for name, score in expected.scores.items():
        assert found["metrics"][name]["value"] == score.value
    assert found["metrics"]["distinct_codes"]["value"] == expected.distinct_codes
    assert tuple(found["constant_bits"]) == expected.constant_bits
    assert found["protocol"] == {"k": 10, "ties": "expected", "normalizer": "relevant"}


def test_the_text_says_it_all(bench, folder):
    codes = np.ones((90, 16))
    codes[:45, 0] = codes[30:60, 9] = -1
    labels = np.arange(90) % 4
    labels[0] = 7
    some_codes(folder / "codes.npz", query_codes=codes[:20], database_codes=codes[20:],
               query_labels=labels[:20], database_labels=labels[20:])  # fmt: skip
    result = bench("evaluate", "codes.npz", "--k", "20", "--ties", "index", "--normalizer", "min")
    assert result.code == 0
    lines = result.out.splitlines()
    assert lines[0] == "codes.npz: 20 queries against 70 items, codes of 16 bits, labels"
    rows = {line[:41].strip(): line[41:].split() for line in lines[2:] if "  " in line}
    assert list(rows["accuracy"]) == ["mean", "95", "%", "interval", "worst", "ties", "best", "ties"]
    assert {
        "mAP@20",
        "mAP@20 as DeepHash's evaluator prints it",
        "precision@1",
        "precision within radius 2",
    } <= rows.keys()
    for title in ("mAP@20", "precision@10"):
        mean, low, _, high, worst, best = rows[title]
        assert float(low) <= float(mean) <= float(high)
        assert float(worst) <= float(mean) <= float(best)
    rest = "\n".join(lines[lines.index("", 3) :])
    assert "items at equal distance in database order" in rest or "relevant items" in rest
    assert "1 query with nothing to find: they score 0 and count." in rest
    assert "4 distinct codes among 70 items of the database; " in rest
    assert (
        "14 of 16 bits (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15) are the same in the whole database."
        in rest
    )
    assert "Warning: mAP depends on the order of ties" in rest
    assert re.search(r"Took \d+ s and [\d,.]+ [MG]B of memory at most\.$", rest)
    assert re.search(r"codes\.npz: 20 queries .* about \d+ MB of memory at most", result.err)


@pytest.mark.parametrize(
    ("bits", "constant", "told"),
    [
        (8, 0, "No bit is the same in the whole database."),
        (8, 1, "1 of 8 bits (0) is the same in the whole database."),
        (24, 16, f"16 of 24 bits ({', '.join(map(str, range(16)))}) are the same in the whole database."),
        (24, 18, f"18 of 24 bits ({', '.join(map(str, range(16)))} and 2 more) are the same in the whole "
         "database."),
        (24, 24, "All 24 bits are the same in the whole database."),
        (1, 1, "The only bit is the same in the whole database."),
    ],
)  # fmt: skip
def test_bits_that_say_nothing_are_told(bench, folder, bits, constant, told):
    codes = np.random.default_rng(0).integers(2, size=(90, bits)).astype(bool)
    codes[:, :constant] = True
    some_codes(folder / "codes.npz", query_codes=codes[:20], database_codes=codes[20:])
    assert told in bench("evaluate", "codes.npz").out.splitlines()


@pytest.mark.parametrize("ties", ["expected", "index", "best", "worst"])
@pytest.mark.parametrize("normalizer", ["relevant", "min", "hits"])
def test_the_rule_that_was_asked_for_comes_first(bench, folder, ties, normalizer):
    some_codes(folder / "codes.npz")
    rule = ("--ties", ties, "--normalizer", normalizer, "--k", "5")
    (first, *_) = json.loads(bench("evaluate", "codes.npz", *rule, "--json").out)["metrics"]
    assert first == f"map@5:{ties}:{normalizer}"
    lines = bench("evaluate", "codes.npz", *rule).out.splitlines()
    assert lines[4].startswith("mAP@5  ")


@pytest.mark.parametrize("distance", ["cosine", "l2"])
def test_embeddings_are_ranked_by_their_distance(bench, folder, distance):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((90, 5)) * rng.uniform(0.5, 3, (90, 1))
    arrays = some_codes(folder / "e.npz", query_codes=None, database_codes=None,
                        query_embeddings=vectors[:20], database_embeddings=vectors[20:])  # fmt: skip
    result = bench("evaluate", "e.npz", "--distance", distance, "--json")
    assert result.code == 0, result.err
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) if distance == "cosine" else vectors
    nearest = np.linalg.norm(unit[:20, None] - unit[20:], axis=2).argsort(axis=1)
    relevant = arrays["database_labels"][nearest] == arrays["query_labels"][:, None]
    precisions = relevant.cumsum(axis=1) / np.arange(1, 71)
    expected = (precisions * relevant).sum(axis=1) / relevant.sum(axis=1)
    found = json.loads(result.out)["metrics"]
    assert found["map@all:expected:relevant"]["value"] == pytest.approx(expected.mean())
    assert found["precision_at_k@10"]["value"] == pytest.approx(relevant[:, :10].mean())
    assert "distinct_codes" not in found


def test_true_neighbours_are_what_is_to_be_found(bench, folder):
    h5py = pytest.importorskip("h5py")
    vectors = np.random.default_rng(0).standard_normal((120, 24)).astype(np.float32)
    true = np.linalg.norm(vectors[:20, None] - vectors[20:], axis=2).argsort(axis=1)[:, :10]
    with h5py.File("a.hdf5", "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"], file["test"], file["neighbors"] = vectors[20:], vectors[:20], true
    exact = json.loads(bench("evaluate", "a.hdf5", "--json").out)["metrics"]
    assert exact["precision_at_k@10"]["value"] == exact["map@all:expected:relevant"]["value"] == 1
    signs = json.loads(bench("evaluate", "a.hdf5", "--binarize", "sign", "--json").out)
    assert signs["bits"] == 24
    assert 0.1 < signs["metrics"]["precision_at_k@10"]["value"] < 0.9


# -- Refusals ----------------------------------------------------------------------------------------


def lines_of(result: Any) -> list[str]:
    """What went wrong, without what was said before."""
    return [line for line in result.err.splitlines() if line.startswith("error: ")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--k", "71"], "codes.npz: k is 71, but the database has 70 items"),
        (["--bits", "12"], "codes.npz: bits is 12, but query codes have 16 columns"),
        (["--array", "query_codes"], "write it as ROLE=NAME"),
        (["--name", "x"], "--name is for a record; say with --out DIR"),
        (["--seed", "0"], "--seed is for a record"),
        (["--cost", "params=1"], "--cost is for a record"),
        (["--out", "mine"], "--out needs --name"),
        (["--out", "mine", "--name", " "], "--out needs --name"),
        (["--out", "mine", "--name", "x", "--cost", "parms=1"], "no such cost; did you mean 'params'?"),
        (["--out", "mine", "--name", "x", "--cost", "params"], "write NAME=NUMBER, for example params=3.3e6"),
        (["--out", "mine", "--name", "x", "--cost", "params=nan"], "not a number from 0 on"),
        (["--out", "mine", "--name", "x", "--cost", "macs=-1"], "not a number from 0 on"),
        (["--out", "mine", "--name", "x", "--cost", "latency_ms@1=2"], "a timing belongs to its machine"),
        (["--out", "mine", "--name", "x", "--like", "nowhere"], "nowhere: no such results folder or record"),
        (["--out", ".", "--name", "x"], ".: holds other things than results; name a new folder"),
    ],
)
def test_what_cannot_be_is_one_line_and_nothing_is_written(bench, folder, arguments, message):
    some_codes(folder / "codes.npz")
    result = bench("evaluate", "codes.npz", *arguments)
    assert result.code == 2
    assert result.out == ""
    (line,) = lines_of(result)
    assert message in line
    assert not (folder / "mine").exists()


def test_nothing_to_find_is_one_line(bench, folder):
    some_codes(folder / "codes.npz", query_labels=np.full(20, 9))
    vectors = np.random.default_rng(0).standard_normal((90, 3))
    some_codes(folder / "e.npz", query_codes=None, database_codes=None, query_labels=np.full(20, 9),
               query_embeddings=vectors[:20], database_embeddings=vectors[20:])  # fmt: skip
    for file in ("codes.npz", "e.npz"):
        result = bench("evaluate", file)
        assert result.code == 2
        assert lines_of(result) == [
            f"error: {file}: nothing in the database is relevant to any of the "
            "20 queries; do both sides number their classes alike?"
        ]


def damaged(content: bytes, number: int) -> bytes:
    rng = np.random.default_rng(number)
    changed = bytearray(content)
    for place in rng.integers(len(changed), size=4):
        changed[place] ^= 1 << int(rng.integers(8))
    return bytes(changed[: len(changed) if number % 3 else rng.integers(len(changed))])


def test_damaged_files_never_end_in_a_traceback(bench, folder):
    some_codes(folder / "codes.npz")
    content = (folder / "codes.npz").read_bytes()
    for number in range(60):
        (folder / "damaged.npz").write_bytes(damaged(content, number))
        result = bench("evaluate", "damaged.npz", "-q")
        assert result.code in {0, 2}, result.err
        assert "Traceback" not in result.err
        assert len(result.err.splitlines()) == (result.code == 2)


# -- Records -----------------------------------------------------------------------------------------


@pytest.fixture
def beside(trained: Results, bench: Callable[..., Any], folder: Path) -> Callable[..., Any]:
    """Evaluate changed codes of the first cell, like the tiny grid, into ``mine``."""
    arrays = codes_of(trained.records[0], folder)

    def call(*arguments: Any, **changes: Any) -> Any:
        kept = {name: array for name, array in {**arrays, **changes}.items() if array is not None}
        np.savez("codes.npz", **kept)
        like = () if "--like" in arguments else ("--like", TINY)
        return bench("evaluate", "codes.npz", "--out", "mine", "--name", "My method", *like, *arguments)

    return call


def test_a_record_says_what_it_is(beside, trained):
    assert beside("--cost", "params=3.3e6", "--cost", "macs=8e7", "--seed", "3").code == 0
    (record,) = load_results(Path("mine")).records
    cell, peer = record.cell, trained.records[0].cell
    assert (record.status, cell.method, cell.student, cell.seed) == ("external", "external", "My method", 3)
    assert (cell.dataset, cell.protocol, cell.bits) == (peer.dataset, peer.protocol, peer.bits)
    assert (record.metrics["params"].value, record.metrics["params"].unit) == (3.3e6, "parameters")
    assert (record.metrics["macs"].value, record.metrics["code_bytes"].value) == (8e7, 2)
    assert not any(metric.noise == "timed" for metric in record.metrics.values())


def test_the_same_name_and_seed_take_the_place_of_earlier_ones(beside):
    first = beside()
    again = beside("--cost", "params=1")
    other = beside("--seed", "1")
    assert ["wrote" in one.err or "replaced" in one.err for one in (first, again, other)] == [True] * 3
    assert "replaced mine/records/" in again.err
    records = load_results(Path("mine")).records
    assert sorted(record.cell.seed for record in records) == [0, 1]
    assert sum("params" in record.metrics for record in records) == 1


@pytest.mark.parametrize(
    ("side", "change", "message"),
    [
        ("query", lambda ids: None, "no query_ids, the place of each row's image in the data set"),
        (
            "query",
            lambda ids: None,
            "; which is which: python -m bench data prepare --grid GRID --list images.csv",
        ),
        ("query", lambda ids: ids + 1000, " more of query_ids are no query images of synthetic"),
        (
            "query",
            lambda ids: np.where(ids == ids.max(), 9999, ids),
            "id 9999 of query_ids is no query image of",
        ),
        ("query", lambda ids: ids.astype(str), "query_ids are texts; images of synthetic"),
        ("database", lambda ids: ids + 1000, "database_ids are no database images of synthetic"),
    ],
)
def test_other_images_do_not_stand_beside(beside, trained, folder, side, change, message):
    ids = codes_of(trained.records[0], folder)[f"{side}_ids"]
    result = beside(**{f"{side}_ids": change(ids)})
    assert result.code == 2
    (line,) = lines_of(result)
    assert message in line
    assert not Path("mine").exists()


def test_fewer_images_do_not_stand_beside(beside, trained, folder):
    arrays = codes_of(trained.records[0], folder)
    result = beside(**{name: array[:-1] for name, array in arrays.items() if name.startswith("query")})
    assert result.code == 2
    assert re.search(r"(\d+) query rows, but synthetic \(.*\) has \d+ images there$", lines_of(result)[0])


def test_other_labels_do_not_stand_beside(beside, trained, folder):
    labels = codes_of(trained.records[0], folder)["query_labels"]
    result = beside(query_labels=np.where(np.arange(len(labels)) < 3, 99, labels))
    assert result.code == 2
    assert "these labels are not those of synthetic" in lines_of(result)[0]
    assert "queries with nothing to find are 3 here and 0 there" in lines_of(result)[0]
    assert not Path("mine").exists()


def test_another_rule_does_not_stand_beside(beside):
    result = beside("--k", "10")
    assert (result.code, lines_of(result)) == (
        2,
        ["error: --k 10: the cells of --like have all; leave it out"],
    )
    assert beside("--k", "all", "--ties", "expected").code == 0


def test_one_record_may_stand_for_its_folder(beside, trained):
    file = next(iter(sorted((TINY / "records").iterdir())))
    assert beside("--like", file).code == 0


def test_results_of_a_grid_are_left_alone(beside, bench, trained):
    before = sorted((TINY / "records").iterdir())
    result = bench("evaluate", "codes.npz", "--out", TINY, "--name", "x") if beside().code == 0 else None
    assert result is not None
    assert result.code == 2
    assert "the results of a grid" in lines_of(result)[0]
    assert sorted((TINY / "records").iterdir()) == before


def test_compare_pairs_it_with_every_cell_query_by_query(beside, bench, trained):
    assert beside().code == 0
    result = bench("compare", TINY, "mine", "--json")
    assert result.code == 0, result.err
    found = json.loads(result.out)
    queries = trained.records[0].metrics[trained.records[0].accuracy].detail["queries"]
    assert found["elsewhere"]
    assert found["fronts"] == []
    assert len(found["pairs"]) == len(trained.records)
    assert {pair["queries"] for pair in found["pairs"]} == {queries}
    own = trained.records[0].cell
    (same,) = [
        pair
        for pair in found["pairs"]
        if (pair["base_name"]["method"], pair["base_name"]["loss"]) == (own.method, own.loss)
    ]
    assert same["difference"] == pytest.approx(0, abs=1e-9)
    assert same["alike"]
    text = bench("compare", TINY, "mine", "--a", f"method={own.method}", "--a", f"loss={own.loss}").out
    assert (
        f"tiny_student · {own.method} · {own.loss} · 16 bit -> My method · measured elsewhere · 16 bit"
        in text
    )
    assert "What was measured elsewhere is set against each configuration that has codes as long" in text


def test_codes_of_their_own_are_brought_beside_the_cells_by_the_command_that_compare_prints(
    beside, bench, trained
):
    assert beside().code == 0
    assert bench("evaluate", "codes.npz", "--out", "own", "--name", "My method").code == 0
    refused = bench("compare", TINY, "own")
    assert refused.code == 4
    (line,) = lines_of(refused)
    assert "nothing to compare: A has data set synthetic and B codes; " in line
    command = shlex.split(line.partition("python -m bench ")[2])
    again = bench(*("codes.npz" if word == "CODES" else word for word in command))
    assert again.code == 0, again.err
    assert bench("compare", TINY, "own").code == 0


def test_reports_show_it_beside_the_cells(beside, bench):
    assert beside("--cost", "macs=1000").code == 0
    result = bench("report", TINY, "mine", "--out", "both")
    assert result.code == 0, result.err
    table = (Path("both") / "table.md").read_text()
    assert len(re.findall(r"^## synthetic", table, re.MULTILINE)) == 1
    assert "| My method " in table
    assert "measured elsewhere" in table
    macs, latency = (
        table.partition(f"#### mAP@all against {cost}")[2].partition("####")[0]
        for cost in ("MACs", "latency")
    )
    assert "My method" in macs
    assert "My method" not in latency
    assert "My method" not in result.out  # no student to take
    assert bench("report", "mine").code == 0


def test_without_cells_beside_it_it_stands_alone(bench, folder):
    some_codes(folder / "codes.npz")
    some_codes(folder / "others.npz", seed=1)
    assert bench("evaluate", "codes.npz", "--out", "one", "--name", "A", "--dataset", "flowers").code == 0
    assert bench("evaluate", "others.npz", "--out", "two", "--name", "B", "--dataset", "flowers").code == 0
    result = bench("compare", "one", "two")
    assert result.code == 0, result.err
    assert "A has student A, B has B" in result.out or "A -> B" in result.out
    assert "paired over 1 seed and 20 queries" in result.out
    assert bench("check", "--baseline", "one", "one").code == 0


def test_a_record_of_embeddings_says_by_what_they_were_compared(bench, folder):
    vectors = np.random.default_rng(0).standard_normal((90, 5))
    some_codes(folder / "e.npz", query_codes=None, database_codes=None,
               query_embeddings=vectors[:20], database_embeddings=vectors[20:])  # fmt: skip
    for distance, noted in (("l2", "l2"), ("cosine", None)):
        put = bench("evaluate", "e.npz", "--distance", distance, "--out", "e", "--name", "A")
        assert put.code == 0, put.err
        (record,) = load_results(Path("e")).records  # in the place of the other
        assert record.params.get("similarity") == noted


def test_ids_pair_queries_whatever_their_order(bench, folder):
    ids = np.array([f"image {number:02d}" for number in range(20)])
    arrays = some_codes(folder / "a.npz", query_ids=ids)
    order = np.random.default_rng(5).permutation(20)
    mixed = {name: array[order] if name.startswith("query") else array for name, array in arrays.items()}
    for labels in ("query_labels", "database_labels"):
        mixed[labels] = mixed[labels].astype(np.uint8)  # the same classes in another type
    np.savez("b.npz", **mixed)
    for file, name in (("a.npz", "A"), ("b.npz", "B")):
        assert bench("evaluate", file, "--out", name, "--name", name, "--dataset", "flowers").code == 0
    (pair,) = json.loads(bench("compare", "A", "B", "--json").out)["pairs"]
    assert pair["alike"]
    np.savez("c.npz", **{**mixed, "query_ids": ids})
    assert bench("evaluate", "c.npz", "--out", "C", "--name", "C", "--dataset", "flowers").code == 0
    assert bench("compare", "A", "C").code == 4  # other queries by these names


def test_a_metric_that_finds_no_number_is_one_line(bench, folder):
    some_codes(Path("codes.npz"))
    METRICS.register_as("dividing")(Dividing)
    result = bench("evaluate", "codes.npz")
    assert result.code == 2
    assert result.err.strip().endswith("error: codes.npz: metric dividing found no number for share: nan")
