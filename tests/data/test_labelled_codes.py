"""Codes, embeddings and labels as people keep them and call them; what could be two things is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.data.labelled_codes import LabelledCodes, Reading, read_codes
from bench.errors import DataError, UsageError
from bench.hamming import pack_codes

QUERIES, ITEMS, BITS = 6, 50, 12
RNG = np.random.default_rng(0)
REAL = RNG.standard_normal((QUERIES + ITEMS, BITS))
PLAIN = REAL >= 0
PACKED = np.packbits(PLAIN, axis=1)
LABELS = RNG.integers(4, size=QUERIES + ITEMS)


def both(values: NDArray[Any], kind: str) -> dict[str, NDArray[Any]]:
    return {f"query_{kind}": values[:QUERIES], f"database_{kind}": values[QUERIES:]}


def turned(values: NDArray[Any], kind: str) -> dict[str, NDArray[Any]]:
    return {name: part.T for name, part in both(values, kind).items()}


def write(folder: Path, **arrays: Any) -> Path:
    np.savez(folder / "a.npz", **{**both(LABELS, "labels"), **arrays})
    return folder / "a.npz"


def assert_codes(found: LabelledCodes) -> None:
    np.testing.assert_array_equal(found.query, PACKED[:QUERIES])
    np.testing.assert_array_equal(found.database, PACKED[QUERIES:])
    assert found.bits == BITS


TYPES = [np.int8, np.int16, np.int32, np.int64, np.float16, np.float32, np.float64, ">i4", ">f8"]


@pytest.mark.parametrize("one", TYPES)
def test_signs_of_any_type(tmp_path: Path, one: Any) -> None:
    assert_codes(read_codes(write(tmp_path, **both(np.where(PLAIN, 1, -1).astype(one), "codes"))))


@pytest.mark.parametrize("one", [*TYPES, np.bool_, np.uint16, np.uint32, np.uint64])
def test_bits_of_any_type_but_bytes(tmp_path: Path, one: Any) -> None:
    assert_codes(read_codes(write(tmp_path, **both(PLAIN.astype(one), "codes"))))


def test_packed_codes_and_their_length(tmp_path: Path) -> None:
    path = write(tmp_path, **both(PACKED, "codes"), bits=BITS)
    assert_codes(read_codes(path))
    assert_codes(read_codes(path, Reading(bits=BITS)))
    with pytest.raises(DataError, match="it says that codes have 12 bits; leave --bits 16 out"):
        read_codes(path, Reading(bits=16))


def test_packed_codes_without_a_length_have_all_of_their_bits(tmp_path: Path) -> None:
    found = read_codes(write(tmp_path, **both(PACKED, "codes")))
    assert found.bits == 16
    assert found.notes == ("packed codes without bits: taken to have 16",)


def test_bytes_of_0_and_1_are_refused_with_the_option_that_decides(tmp_path: Path) -> None:
    path = write(tmp_path, **both(PLAIN.astype(np.uint8), "codes"))
    with pytest.raises(
        DataError, match="say --bits 12 if a column is a bit, --bits 96 if it is a byte of eight"
    ):
        read_codes(path)
    assert_codes(read_codes(path, Reading(bits=BITS)))
    assert read_codes(path, Reading(bits=8 * BITS)).bits == 8 * BITS


def test_real_values_called_codes_need_a_word(tmp_path: Path) -> None:
    path = write(tmp_path, **both(REAL, "codes"))
    with pytest.raises(
        DataError, match=r"query codes are real values .* --binarize sign .* query_embeddings"
    ):
        read_codes(path)
    assert_codes(read_codes(path, Reading(binarize=True)))


def test_signs_that_are_0_are_told(tmp_path: Path) -> None:
    signs = np.where(PLAIN, 1.0, -1.0)
    signs[QUERIES, :3] = 0
    found = read_codes(write(tmp_path, **both(signs, "codes")))
    assert found.notes == ("3 of 600 values of database codes are 0, neither -1 nor +1: taken for +1",)
    np.testing.assert_array_equal(found.database, pack_codes(signs[QUERIES:]))


def test_embeddings_have_length_one_for_a_cosine(tmp_path: Path) -> None:
    path = write(tmp_path, **both(REAL, "embeddings"))
    found = read_codes(path)
    assert (found.bits, found.similarity, found.query.dtype) == (0, "cosine", np.float32)
    np.testing.assert_allclose(
        found.database, REAL[QUERIES:] / np.linalg.norm(REAL[QUERIES:], axis=1)[:, None], rtol=1e-6
    )
    found = read_codes(path, Reading(similarity="l2"))
    np.testing.assert_array_equal(found.query, REAL[:QUERIES].astype(np.float32))
    assert_codes(read_codes(path, Reading(binarize=True)))


def test_of_codes_and_embeddings_the_codes_are_taken(tmp_path: Path) -> None:
    path = write(tmp_path, **both(PLAIN, "codes"), **both(REAL, "embeddings"))
    found = read_codes(path)
    assert_codes(found)
    assert found.notes == ("left aside: query_embeddings, database_embeddings",)
    assert read_codes(path, Reading(similarity="cosine")).bits == 0


@pytest.mark.parametrize(
    "labels",
    [
        LABELS.astype(np.uint8),
        LABELS.astype(float),
        LABELS[:, None],
        np.eye(4)[LABELS],
        np.eye(4, dtype=bool)[LABELS],
    ],
    ids=["bytes", "floats", "column", "0/1 as floats", "bools"],
)
def test_labels_of_any_form(tmp_path: Path, labels: NDArray[Any]) -> None:
    found = read_codes(write(tmp_path, **both(PLAIN, "codes"), **both(labels, "labels")))
    assert found.database_labels is not None
    assert len(found.database_labels) == ITEMS
    shared = found.query_labels[:, None] == found.database_labels if found.query_labels.ndim == 1 else (
        found.query_labels.astype(int) @ found.database_labels.astype(int).T > 0
    )  # fmt: skip
    np.testing.assert_array_equal(shared, LABELS[:QUERIES, None] == LABELS[QUERIES:])


# -- Names -------------------------------------------------------------------------------------------

LAYOUTS = {
    "DeepHash-pytorch": ("tst_binary", "trn_binary", "tst_label", "trn_label"),
    "with a prefix": (
        "cifar10-0.8354-tst_binary",
        "cifar10-0.8354-trn_binary",
        "cifar10-0.8354-tst_label",
        "cifar10-0.8354-trn_label",
    ),
    "Caffe": ("validation_code", "database_code", "validation_label", "database_label"),
    "HashNet": ("_test_code", "_database_code", "_test_labels", "_database_labels"),
    "cross-modal": ("query_binary", "retrieval_binary", "query_label", "retrieval_label"),
    "re-identification": ("query_hash", "gallery_hash", "query_target", "gallery_target"),
}


def folder_of(path: Path, names: tuple[str, ...], **more: Any) -> Path:
    path.mkdir(exist_ok=True)
    signs, hot = np.where(PLAIN, 1.0, -1.0), np.eye(4, dtype=np.int64)[LABELS]
    values = signs[:QUERIES], signs[QUERIES:], hot[:QUERIES], hot[QUERIES:]
    for name, array in {**dict(zip(names, values, strict=True)), **more}.items():
        np.save(path / f"{name}.npy", array)
    return path


@pytest.mark.parametrize("layout", LAYOUTS)
def test_folders_as_programs_of_the_field_write_them(tmp_path: Path, layout: str) -> None:
    found = read_codes(folder_of(tmp_path / "save", LAYOUTS[layout]))
    assert_codes(found)
    assert found.notes == ()


def test_what_else_is_in_a_folder_is_left_aside(tmp_path: Path) -> None:
    names = LAYOUTS["HashNet"]
    folder = folder_of(
        tmp_path / "save", names, map=np.array(0.5), trn_binary=np.ones((3, 5)), p_test_code=np.ones((6, 5))
    )
    found = read_codes(folder)
    assert_codes(found)
    assert found.notes == ("left aside: map, p_test_code, trn_binary",)


def test_two_sets_in_one_folder_are_told_apart_by_their_beginning(tmp_path: Path) -> None:
    for prefix in ("a-", "b-"):
        folder = folder_of(tmp_path / "save", tuple(prefix + name for name in LAYOUTS["DeepHash-pytorch"]))
    with pytest.raises(
        DataError, match=r"database_codes could be a-trn_binary or b-trn_binary; say which: --array"
    ):
        read_codes(folder)
    assert_codes(read_codes(folder / "b"))
    chosen = dict(zip(("query_codes", "database_codes", "query_labels", "database_labels"),
                      (f"a-{name}" for name in LAYOUTS["DeepHash-pytorch"]), strict=True))  # fmt: skip
    assert_codes(read_codes(folder, Reading(arrays=chosen)))


def test_an_array_of_any_name_may_be_said_to_be_something(tmp_path: Path) -> None:
    path = write(tmp_path, mine=PLAIN[:QUERIES], theirs=PLAIN[QUERIES:])
    with pytest.raises(
        DataError, match="unknown array mine; leave it out, or say what it is: --array ROLE=mine"
    ):
        read_codes(path)
    assert_codes(read_codes(path, Reading(arrays={"query_codes": "mine", "database_codes": "theirs"})))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"query_code": "query_labels"}, "--array query_code: no such role; did you mean 'query_codes'"),
        ({"query_codes": "query_label"}, "has no such array; did you mean 'query_labels'"),
    ],
)
def test_a_role_or_a_name_that_is_none_is_one_line(
    tmp_path: Path, arrays: dict[str, str], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read_codes(write(tmp_path, **both(PLAIN, "codes")), Reading(arrays=arrays))


NO_CODES = {"query_codes": None, "database_codes": None}
NAN = np.where(REAL > 1, np.nan, np.where(PLAIN, 1.0, -1.0))
LACKING = int(np.isnan(NAN).any(axis=1).argmax())


@pytest.mark.parametrize(
    ("changes", "how", "message"),
    [
        ({"query_codes": PLAIN[:QUERIES, :11]}, {}, "query codes have 11 bits, database codes 12"),
        ({"query_codes": PLAIN[0]}, {}, r"not bool \(12,\); if they are of one image, reshape\(1, -1\)$"),
        ({"query_codes": PLAIN[:QUERIES, None]}, {}, r"not bool \(6, 1, 12\); reshape\(6, -1\)$"),
        ({"query_codes": PLAIN[:0]}, {}, r"no query codes \(bool \(0, 12\)\); write a row for"),
        ({"query_codes": PLAIN[:QUERIES].astype("S1")}, {}, r"codes must be numbers, not \|S1 .*; write"),
        ({"query_codes": PLAIN[:4]}, {}, "4 queries have 6 labels"),
        ({"query_labels": LABELS[:5]}, {}, "6 queries have 5 labels"),
        ({"query_labels": np.eye(4)[LABELS[:QUERIES]]}, {}, "do not match"),
        ({"query_labels": LABELS[:QUERIES] + 0.5}, {}, "query labels must be int"),
        ({"query_labels": LABELS[:QUERIES].astype(str)}, {}, r"not <U\d+ \(6,\); number the classes of both"),
        ({"database_labels": np.full(ITEMS, np.nan)}, {}, "database labels must be int"),
        ({**both(NAN, "codes")}, {}, f"row {LACKING} of the query codes holds NaN; encode"),
        ({**NO_CODES, **both(NAN, "embeddings")}, {"binarize": True}, f"row {LACKING} of .* codes holds"),
        ({**both(PACKED.astype(int), "codes"), "bits": BITS}, {}, "one for each bit; if they are packed"),
        ({**both(PACKED.astype(int), "codes")}, {}, r"of other values .* packed bytes, .*uint8\)$"),
        ({**both(PACKED.astype(np.float32), "codes")}, {}, "numbers held as float32 .* packed bytes, "),
        (turned(PLAIN, "codes"), {}, "query codes have 6 bits, database codes 50; .* transpose both$"),
        ({"query_codes": PLAIN[:QUERIES].T}, {}, "have 6 bits, .* transpose those of the query"),
        ({**turned(PACKED, "codes"), "bits": BITS}, {}, "of 12 bits have .* not 6; .* codes.T$"),
        ({**NO_CODES, **turned(REAL, "embeddings")}, {}, "6 dimensions, .* 50; .* transpose both$"),
        ({"query_labels": LABELS[QUERIES:], "database_labels": LABELS[:QUERIES]}, {},
         "6 queries have 50 labels, and 50 items of the database 6; exchange"),
        ({**both(np.where(PLAIN, 3, -1), "codes")}, {}, "of other values than -1 and"),
        ({"bits": np.array([1, 2])}, {}, r"bits must be the length of the codes, .* not int64 \(2,\)"),
        ({"bits": np.array(13)}, {}, "bits is 13, but query codes have 12 columns"),
        ({"bits": np.array(-1)}, {}, "bits must be the code length"),
        ({"query_ids": np.arange(5)}, {}, r"query_ids must be 6 whole numbers or texts, not int64 \(5,\)"),
        ({"query_ids": np.zeros(QUERIES, int)}, {}, "query_ids has some twice"),
        ({"query_ids": np.linspace(0, 1, QUERIES)}, {}, "query_ids must be 6 whole numbers or texts"),
        (
            {**NO_CODES, **both(NAN, "embeddings")},
            {},
            f"row {LACKING} of .* holds what is no number, or too large for float32; enc",
        ),
        ({**NO_CODES, **both(1e39 * REAL, "embeddings")}, {"similarity": "l2"}, "or too large for float32"),
        ({**NO_CODES, **both(1e300 * REAL, "embeddings")}, {}, "or too large for float32"),
        ({**NO_CODES, **both(0 * REAL, "embeddings")}, {}, "row 0 of the query embeddings has length 0"),
        ({"query_codes": None, "query_embeddings": REAL[:QUERIES]}, {}, "no query_codes; it has "),
        ({"query_labels": None}, {}, "no query_labels; it has "),
        ({}, {"binarize": True}, "--binarize is for real values, and these are bool"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(
    tmp_path: Path, changes: dict[str, Any], how: dict[str, Any], message: str
) -> None:
    arrays = {**both(LABELS, "labels"), **both(PLAIN, "codes"), **changes}
    np.savez(tmp_path / "a.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(DataError, match=message) as refused:
        read_codes(tmp_path / "a.npz", Reading(**how))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"similarity": "l2"}, "--distance is for embeddings, and there are codes alone"),
        ({"similarity": "l2", "binarize": True}, "leave --distance out"),
    ],
)
def test_options_that_contradict_the_file_are_one_line(
    tmp_path: Path, how: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read_codes(write(tmp_path, **both(PLAIN, "codes")), Reading(**how))


# -- ann-benchmarks ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("distance", "how", "bits", "similarity"),
    [
        ("angular", {}, 0, "cosine"),
        ("euclidean", {}, 0, "l2"),
        ("euclidean", {"similarity": "cosine"}, 0, "cosine"),
        ("angular", {"binarize": True}, BITS, "cosine"),
        ("hamming", {}, BITS, "cosine"),
    ],
)
def test_files_of_ann_benchmarks_are_judged_by_their_neighbours(
    tmp_path: Path, distance: str, how: dict[str, Any], bits: int, similarity: str
) -> None:
    h5py = pytest.importorskip("h5py")
    values = PLAIN if distance == "hamming" else REAL.astype(np.float32)
    neighbours = RNG.integers(ITEMS, size=(QUERIES, 10)).astype(np.int32)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["distance"] = distance
        file["train"], file["test"], file["neighbors"] = values[QUERIES:], values[:QUERIES], neighbours
        file["distances"] = np.ones(neighbours.shape)
    found = read_codes(tmp_path / "a.hdf5", Reading(**how))
    assert (found.bits, found.similarity, found.notes) == (bits, similarity, ())
    assert found.database_labels is None
    np.testing.assert_array_equal(found.query_labels, neighbours)


def test_distances_that_nobody_ranks_by_are_refused(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["distance"] = "jaccard"
        file["train"], file["test"] = REAL[QUERIES:], REAL[:QUERIES]
        file["neighbors"] = np.zeros((QUERIES, 3), int)
    with pytest.raises(DataError, match="compared by 'jaccard', which is not known here; say --distance"):
        read_codes(tmp_path / "a.hdf5")
