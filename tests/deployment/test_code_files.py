"""A file of codes gives back what was written, block by block, and believes no damaged one."""

from __future__ import annotations

import io
import os
import random
import zipfile

import numpy as np
import pytest

from bench.deployment import code_files
from bench.deployment.code_files import CodeFile, Source, merge, write
from bench.errors import UsageError

SOURCE = Source(12, 2, "f" * 64, upright=True)


def rows_of(count, source=SOURCE, names="photos/{}.jpg", seed=0):
    rng = np.random.default_rng(seed)
    if source.bits:
        values = np.packbits(rng.random((count, source.bits)) < 0.5, axis=1)
    else:
        values = rng.standard_normal((count, source.width)).astype(np.float32)
    return {
        source.column: values,
        "paths": np.array([names.format(number) for number in range(count)], dtype=str),
        "sizes": rng.integers(1, 5000, (count, 2)).astype(np.int32),
        "file_bytes": rng.integers(0, 2**40, count),
        "mtimes": rng.integers(0, 2**62, count),
    }


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(code_files, "BLOCK", 7)


@pytest.mark.parametrize("count", [0, 1, 6, 7, 8, 30])
@pytest.mark.parametrize("source", [SOURCE, Source(0, 5, "e" * 64, upright=False)], ids=["codes", "vectors"])
def test_what_was_written_is_read(tmp_path, count, source):
    path, rows = tmp_path / "codes.npz", rows_of(count, source)
    write(path, source, rows)
    file = CodeFile(path)
    assert (file.rows, file.source) == (count, source)
    np.testing.assert_array_equal(file.values(), rows[source.column])
    for name, column in rows.items():
        blocks = list(file.blocks(name))
        assert all(len(block) <= 7 for block in blocks)
        np.testing.assert_array_equal(np.concatenate([column[:0], *blocks]), column)
    assert list(tmp_path.iterdir()) == [path]


def test_numpy_reads_it_too(tmp_path):
    path, rows = tmp_path / "codes.npz", rows_of(20, names="fotos/ä{}.png")
    write(path, SOURCE, rows)
    with np.load(path, allow_pickle=False) as arrays:
        assert set(arrays.files) == {*rows, "bits", "fingerprint", "upright"}
        assert (int(arrays["bits"]), str(arrays["fingerprint"]), bool(arrays["upright"])) == (
            12,
            "f" * 64,
            True,
        )
        for name, column in rows.items():
            np.testing.assert_array_equal(arrays[name], column)


def test_names_that_are_no_text_survive(tmp_path):
    rows = {**rows_of(1), "paths": np.array([os.fsdecode(b"/photos/\xff\xfe.png")])}
    write(tmp_path / "codes.npz", SOURCE, rows)
    (name,) = CodeFile(tmp_path / "codes.npz").pick("paths", np.array([0]))
    assert os.fsencode(str(name)) == b"/photos/\xff\xfe.png"


def test_single_rows_are_found_in_any_block(tmp_path):
    rows = rows_of(30)
    write(tmp_path / "codes.npz", SOURCE, rows)
    asked = np.array([29, 0, 7, 6, 7])
    file = CodeFile(tmp_path / "codes.npz")
    for name, column in rows.items():
        np.testing.assert_array_equal(np.stack(file.pick(name, asked)), column[asked])


def test_files_are_merged_row_by_row(tmp_path):
    parts = [
        rows_of(count, names=name, seed=count) for count, name in ((10, "a{}"), (3, "longer/{}"), (9, "c{}"))
    ]
    for number, part in enumerate(parts):
        write(tmp_path / f"{number}.npz", SOURCE, part)
    files = [CodeFile(tmp_path / f"{number}.npz") for number in range(3)]
    kept = [np.arange(file.rows) % 3 != 1 for file in files]
    merge(tmp_path / "0.npz", SOURCE, files, kept)
    with np.load(tmp_path / "0.npz") as arrays:
        for name in parts[0]:
            expected = np.concatenate([part[name][keep] for part, keep in zip(parts, kept, strict=True)])
            np.testing.assert_array_equal(arrays[name], expected)


def test_equal_rows_make_equal_files(tmp_path):
    for name in ("a", "b"):
        write(tmp_path / name, SOURCE, rows_of(20))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def saved(path, **changes):
    """Write a code file with numpy, some arrays replaced; None leaves an array out."""
    arrays = {**rows_of(9), "bits": np.int64(12), "fingerprint": "f" * 64, "upright": True, **changes}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_a_file_that_numpy_wrote_again_is_as_good(tmp_path):
    assert CodeFile(saved(tmp_path / "codes.npz")).source == SOURCE


@pytest.mark.parametrize(
    "changes",
    [
        {"paths": None},
        {"bits": None},
        {"bits": np.int64(-1)},
        {"bits": np.int64(20)},
        {"bits": np.array([12])},
        {"bits": 12.0},
        {"fingerprint": 5},
        {"upright": 1},
        {"codes": np.zeros((9, 3), np.uint8)},
        {"codes": np.zeros((8, 2), np.uint8)},
        {"codes": np.zeros((9, 2), np.int64)},
        {"codes": np.zeros(9, np.uint8)},
        {"codes": np.zeros((2, 9), np.uint8).T},
        {"paths": np.arange(9)},
        {"paths": np.array([None] * 9)},
        {"sizes": np.zeros((9, 3), np.int32)},
        {"mtimes": np.zeros(9)},
    ],
    ids=str,
)
def test_other_arrays_are_refused(tmp_path, changes):
    path = saved(tmp_path / "codes.npz", **changes)
    with pytest.raises(UsageError, match=r"codes\.npz: not a file of 'encode' \(.*\); give another"):
        CodeFile(path)


def test_bits_behind_the_last_and_numbers_that_are_none_are_refused(tmp_path):
    with pytest.raises(UsageError, match="bits behind the last of 12"):
        CodeFile(saved(tmp_path / "a.npz", codes=np.full((9, 2), 255, np.uint8))).values()
    vectors = {"codes": None, "bits": np.int64(0), "embeddings": np.full((9, 4), np.nan, np.float32)}
    with pytest.raises(UsageError, match="not finite"):
        CodeFile(saved(tmp_path / "b.npz", **vectors)).values()


def test_an_array_that_claims_more_than_the_file_holds_is_not_made_room_for(tmp_path):
    path = tmp_path / "codes.npz"
    header = io.BytesIO()
    facts = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 2)}
    np.lib.format.write_array_header_1_0(header, facts)
    saved(path, codes=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("codes.npy", header.getvalue() + b"\0" * 64)
    with pytest.raises(UsageError, match="not a file of 'encode'"):
        CodeFile(path)


def everything(path):
    """Read all that a program could read of a file."""
    file = CodeFile(path)
    file.values()
    return [list(file.blocks(name)) for name in file.source.columns]


def test_no_damage_gets_through_as_anything_but_one_line(tmp_path):
    """1,000 files with bytes changed, cut or repeated: each is read whole or refused."""
    write(tmp_path / "good.npz", SOURCE, rows_of(20))
    good, refused = (tmp_path / "good.npz").read_bytes(), 0
    for seed in range(1000):
        rng, data = random.Random(seed), bytearray(good)
        for _ in range(rng.choice([1, 1, 2, 8])):
            place, many = rng.randrange(len(data)), rng.randrange(1, 30)
            change = rng.randrange(4)
            if change == 0:
                data[place] ^= 1 << rng.randrange(8)
            elif change == 1:
                data[place : place + many] = rng.randbytes(many)
            elif change == 2:
                del data[place : place + many]
            else:
                data[place:place] = data[place : place + many]
        (tmp_path / "bad.npz").write_bytes(data)
        fault = None
        try:
            everything(tmp_path / "bad.npz")
        except UsageError as error:
            fault = str(error)
        refused += fault is not None
        assert "\n" not in (fault or "")
    assert refused > 500
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.npz", "good.npz"]


@pytest.mark.parametrize("content", [b"", b"PK", b"\x93NUMPY", b"no zip"])
def test_what_is_no_archive_is_told(tmp_path, content):
    (tmp_path / "codes.npz").write_bytes(content)
    with pytest.raises(UsageError, match="not a file of 'encode'"):
        CodeFile(tmp_path / "codes.npz")
    with pytest.raises(UsageError, match=r"absent: no such file; make it: python -m bench encode"):
        CodeFile(tmp_path / "absent")


def test_what_is_not_finished_is_not_missing(tmp_path):
    (tmp_path / "codes.npz.unfinished").mkdir()
    with pytest.raises(UsageError, match="not finished yet; go on: python -m bench encode"):
        CodeFile(tmp_path / "codes.npz")
