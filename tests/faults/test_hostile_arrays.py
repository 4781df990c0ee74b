"""Whatever a file of arrays claims to hold: values, or one line, in little time and memory."""

from __future__ import annotations

import io
import os
import random
import struct
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data.array_files import open_arrays
from bench.data.labelled_codes import read_codes
from bench.deployment.code_files import CodeFile
from bench.errors import DataError
from tests.faults.fuzzing import damaged, fuzz


def arrays() -> dict[str, Any]:
    """Codes that can be judged."""
    rng = np.random.default_rng(0)
    return {
        "query_codes": rng.integers(0, 256, (5, 2), dtype=np.uint8),
        "database_codes": rng.integers(0, 256, (40, 2), dtype=np.uint8),
        "query_labels": rng.integers(3, size=5),
        "database_labels": rng.integers(3, size=40),
        "bits": np.array(16),
    }


def header(kind: str, shape: object, version: int = 1, length: int | None = None) -> bytes:
    text = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': {shape!r}, }}\n".encode()
    width = "<H" if version == 1 else "<I"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(width, length or len(text)) + text


def archive(path: Path, method: int = zipfile.ZIP_STORED, **contents: bytes) -> Path:
    with zipfile.ZipFile(path, "w", method, compresslevel=1) as made:
        for name, content in contents.items():
            made.writestr(f"{name}.npy", content)
    return path


def refused(path: Path) -> str:
    """What is said of a file that is not read."""
    begun = time.monotonic()
    with pytest.raises(DataError) as error:
        read_codes(path)
    assert time.monotonic() - begun < 5
    assert str(error.value).isprintable()
    return str(error.value)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_header_without_end_is_not_read(tmp_path: Path, method: int) -> None:
    """It is two hundred megabytes of spaces, and four gigabytes where only its length says so."""
    long = header("|u1", (5, 2), 2, 2 * 10**8) + b" " * 2 * 10**8
    assert "a header of 200,000,000 bytes" in refused(archive(tmp_path / "a.npz", method, query_codes=long))
    claimed = header("|u1", (5, 2), 2, 2**32 - 1)
    assert "a header of 4,294,967,295" in refused(archive(tmp_path / "b.npz", query_codes=claimed))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "query_codes.npy").write_bytes(claimed)
    assert "a header of 4,294,967,295" in refused(tmp_path / "folder")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_what_numpy_packs_is_unpacked(tmp_path: Path, method: int) -> None:
    """A few hundred bytes of the others are a gigabyte."""
    path = archive(tmp_path / "a.npz", method, query_codes=header("|u1", (5, 2)) + bytes(10))
    assert "array 'query_codes' is packed in a way that numpy has not" in refused(path)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [("|u1", (-5, -2)), ("|u1", (2**63, 0)), ("|S0", (10**12, 2)), ("<U0", (10**12, 2))],
)
def test_shapes_that_no_array_has_are_refused(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    """Those of no bytes at all would be gone through item by item."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "query_codes.npy").write_bytes(header(kind, shape) + bytes(10))
    content = header(kind, shape) + bytes(10)
    for path in (tmp_path / "folder", archive(tmp_path / "a.npz", query_codes=content)):
        assert "which no array has" in refused(path)


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", query_codes=header("|u1", (5, 2)) + bytes(10))
    with pytest.warns(UserWarning, match="Duplicate name"), zipfile.ZipFile(path, "a") as made:
        made.writestr("query_codes.npy", header("|u1", (5, 2)) + bytes(10))
    assert "two arrays are called 'query_codes'" in refused(path)


def test_very_many_arrays_are_not_looked_at(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.npz", **{f"a{number}": b"" for number in range(2_000)})
    assert "2,000 arrays" in refused(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "folder" / "query_codes.npy")
    os.mkfifo(tmp_path / "codes.npz")
    assert "no .npy file in this folder" in refused(tmp_path / "folder")
    assert "no such file" in refused(tmp_path / "codes.npz")


@pytest.mark.parametrize("chunks", [None, (1000, 2)])
def test_hdf5_makes_up_no_values(tmp_path: Path, chunks: Any) -> None:
    """A kilobyte says that it holds a terabyte, all of it zero."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.create_dataset("train", (2**40, 2), "u1", chunks=chunks)
    assert "the values of 'train' are not all in the file" in refused(tmp_path / "a.hdf5")


def test_hdf5_with_chunks_larger_than_what_they_hold(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        values = file.create_dataset(
            "train", (4, 2), "u1", chunks=(2**25, 8), compression=1, maxshape=(None, 8)
        )
        values[:] = 1
    assert "not all in the file" in refused(tmp_path / "a.hdf5")


def test_packed_hdf5_stays_readable(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    values = np.arange(20_000).reshape(-1, 4)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["distance"] = np.arange(1000)
        file.create_dataset("train", data=values, compression="gzip", chunks=(64, 3))
        file.create_dataset("none", (0, 4), "f4", maxshape=(None, 4))
    found = open_arrays(tmp_path / "a.hdf5")
    assert found.distance == ""
    np.testing.assert_array_equal(found.read(["train"])["train"], values)
    assert found.read(["none"])["none"].shape == (0, 4)


# -- by chance ---------------------------------------------------------------------------------------


def changed_arrays(sound: Sequence[bytes], rng: random.Random) -> bytes:
    """The archive's bytes changed, or those of an array in it, whose checksum is right then."""
    if rng.random() < 0.5:
        return damaged(sound, rng)
    with zipfile.ZipFile(io.BytesIO(rng.choice(sound))) as whole:
        contents = {entry: whole.read(entry) for entry in whole.namelist()}
    changed = rng.choice(list(contents))
    contents[changed] = damaged([contents[changed][:140]], rng) + contents[changed][140:]
    result = io.BytesIO()
    with zipfile.ZipFile(result, "w", rng.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])) as made:
        for entry, content in contents.items():
            made.writestr(entry, content)
    return result.getvalue()


def saved(save: Any, **values: Any) -> bytes:
    file = io.BytesIO()
    save(file, **values)
    return file.getvalue()


def test_damaged_archives_are_values_or_one_line(tmp_path: Path) -> None:
    names = {"query_ids": np.array(["a", "bc", "d", "e", "f"])}
    planted = {"query_ids": np.array([Planted(tmp_path / "run")] * 3, dtype=object)}
    sound = [
        saved(np.savez, **arrays(), **planted),
        saved(np.savez, **arrays()),
        saved(np.savez_compressed, **arrays()),
        saved(np.savez, **arrays(), **names),
    ]
    figures = fuzz(read_codes, sound, tmp_path / "a.npz", change=changed_arrays)
    figures.check()
    assert figures.refused > figures.tried / 4
    assert not (tmp_path / "run").exists()


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def read_all(path: Path) -> list[Any]:
    codes = CodeFile(path)
    return [codes.values(), *(block for name in codes.source.columns for block in codes.blocks(name))]


def test_damaged_files_of_encode_are_values_or_one_line(tmp_path: Path) -> None:
    rows = {
        "codes": np.arange(10, dtype=np.uint8).reshape(5, 2),
        "paths": np.array([f"{number}.png" for number in range(5)]),
        "sizes": np.ones((5, 2), np.int32),
        "file_bytes": np.ones(5, np.int64),
        "mtimes": np.ones(5, np.int64),
    }
    facts = {"bits": np.array(16), "fingerprint": np.array("a" * 64), "upright": np.array(True)}
    figures = fuzz(read_all, [saved(np.savez, **rows, **facts)], tmp_path / "a.npz", change=changed_arrays)
    figures.check()


def test_damaged_hdf5_is_values_or_one_line(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "sound.hdf5", "w") as file:
        file.attrs["distance"] = "hamming"
        for name, values in arrays().items():
            file.create_dataset(name, data=values, **({"compression": "gzip"} if values.ndim == 2 else {}))
    fuzz(read_codes, [(tmp_path / "sound.hdf5").read_bytes()], tmp_path / "a.hdf5").check()
