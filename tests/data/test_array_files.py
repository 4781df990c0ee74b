"""Whatever a file of arrays holds: its values, or one line, and nothing in it is ever run."""

from __future__ import annotations

import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bench import environment
from bench.data.array_files import open_arrays
from bench.data.labelled_codes import read_codes
from bench.errors import DataError, MissingPackageError

shared_folder = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
KINDS = st.sampled_from(["u1", "<i8", ">i4", "<f4", ">f8", "<f2", "?", "S3", "<U4"])


def whole(folder: Path, name: str = "codes.npz", **arrays_: Any) -> Path:
    """A file of codes that can be judged."""
    rng = np.random.default_rng(0)
    usual = {
        "query_codes": rng.integers(0, 256, (5, 2), dtype=np.uint8),
        "database_codes": rng.integers(0, 256, (40, 2), dtype=np.uint8),
        "query_labels": rng.integers(3, size=5),
        "database_labels": rng.integers(3, size=40),
        "bits": np.array(16),
    }
    np.savez(folder / name, **{**usual, **arrays_})
    return folder / name


@shared_folder
@given(data=st.data(), fortran=st.booleans())
def test_values_come_through(tmp_path: Path, data: Any, fortran: bool) -> None:
    shapes = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=4)
    array = np.array(
        data.draw(arrays.arrays(data.draw(KINDS), data.draw(shapes))), order="F" if fortran else "C"
    )
    np.savez(tmp_path / "a.npz", array=array)
    read = open_arrays(tmp_path / "a.npz").read(["array"])["array"]
    np.testing.assert_array_equal(read, array)
    assert read.dtype == array.dtype


def test_files_of_a_folder_are_mapped_and_not_read(tmp_path: Path) -> None:
    for name, values in {"a": np.arange(6).reshape(2, 3), "bits": np.array(12)}.items():
        np.save(tmp_path / f"{name}.npy", values)
    file = open_arrays(tmp_path)
    assert not file.whole
    read = file.read(["a", "bits"])
    assert not read["a"].flags.owndata
    np.testing.assert_array_equal(read["a"], np.arange(6).reshape(2, 3))
    assert int(read["bits"]) == 12


class Planted:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["npz", "folder"])
def test_pickled_objects_are_refused_and_not_run(tmp_path: Path, kind: str) -> None:
    planted = np.array([Planted(tmp_path / "run")], dtype=object)
    if kind == "npz":
        path = whole(tmp_path, query_codes=planted)
    else:
        path = tmp_path / "folder"
        path.mkdir()
        np.save(path / "query_codes.npy", planted)
    with pytest.raises(DataError, match="array 'query_codes' holds objects, which are never read"):
        read_codes(path)
    assert not (tmp_path / "run").exists()


def test_a_header_that_hides_what_is_pickled_is_refused(tmp_path: Path) -> None:
    """The header says numbers; what follows is a pickle of as many bytes."""
    content = pickle.dumps(Planted(tmp_path / "run"))
    path = forged(tmp_path, header("|u1", (5, len(content) // 5 + 1)), content)
    with pytest.raises(DataError):
        read_codes(path)
    path = forged(tmp_path, header("|O", (1,)), content)
    with pytest.raises(DataError, match="objects"):
        read_codes(path)
    assert not (tmp_path / "run").exists()


def header(descr: object, shape: object, version: int = 1) -> bytes:
    """The start of a ``.npy`` file that says so."""
    text = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape!r}, }}\n".encode()
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H" if version == 1 else "<I", len(text)) + text


def forged(folder: Path, *parts: bytes, name: str = "query_codes.npy") -> Path:
    """A file of codes in which one array consists of these bytes."""
    path, changed = whole(folder), folder / "forged.npz"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(changed, "w") as target:
        for entry in source.namelist():
            target.writestr(entry, b"".join(parts) if entry == name else source.read(entry))
    return changed


@pytest.mark.parametrize(
    "start",
    [
        header("|u1", (10**13, 2)),
        header("|u1", (2**62, 2**62)),
        header("|u1", (-5, -2)),
        header("|u1", (5, 3)),
        header("|u1", "5, 2"),
        header("|u1", (5.0, 2)),
        header("<U1000000000", (5, 2)),
        header([("a", "|O"), ("b", "<i8")], (5,)),
        header([("a", "<i8")], (5,)),
        header("<c16", (5, 2), version=3),
        header("M8[ns]", (5, 2)),
        header("|V10", (5,)),
        header("no type", (5, 2)),
        b"\x93NUMPY\x01\x00\xff\xff{'descr': '|u1'}",
        b"\x93NUMPY\x01\x00\x20\x00__import__('os').mkdir('run')   \n",
        b"\x93NUMPY\x01\x00\x10\x27" + b"(" * 10_000,
        b"\x93NUMPY\x09\x00",
        b"\x80\x04\x95",
        b"",
    ],
    ids=lambda start: start[6:60].decode("latin1"),
)
def test_forged_headers_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError) as refused:
        read_codes(forged(tmp_path, start, bytes(10)))
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_bomb_is_refused_before_it_goes_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few kilobytes that are thirty megabytes: refused where that is more than there is."""
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for role, rows in {"query_codes": 5, "database_codes": 10**7}.items():
            archive.writestr(f"{role}.npy", header("|u1", (rows, 2)) + bytes(2 * rows))
            archive.writestr(f"{role[:-5]}labels.npy", header("|u1", (rows,)) + bytes(rows))
    assert path.stat().st_size < 10**6
    monkeypatch.setattr(environment, "available_memory", lambda: 2 * 10**7)
    with pytest.raises(DataError, match=r"its arrays take 0\.0 GB and 0\.0 GB of memory are free"):
        read_codes(path)


def test_a_size_that_only_the_index_claims_is_not_believed(tmp_path: Path) -> None:
    """Index and header agree on a terabyte, and nothing of it is there."""
    rows = 2**40
    path = forged(tmp_path, header("|u1", (rows, 2)))
    content = bytearray(path.read_bytes())
    start = content.rindex(b"PK\x01\x02query_codes"[:4], 0, content.rindex(b"query_codes.npy"))
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as archive:
        claimed = archive.getinfo("query_codes.npy").file_size
    assert content[start + 24 : start + 28] == struct.pack("<I", claimed)
    content[start + 24 : start + 28] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(content)
    with pytest.raises(DataError, match="is to unpack to 4,294,967,294 bytes, and 82 are there"):
        read_codes(path)


def archived(path: Path, name: str) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"PK\x03\x04"), "damaged, or not what its name says"),
        (lambda path: path.write_bytes(b""), "neither .npz nor HDF5"),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "neither .npz nor HDF5"),
        (lambda path: path.write_bytes(header("<f8", (0,))), "a single array; write query_codes"),
        (lambda path: archived(path, "data.pkl"), r"a zip file without arrays \(.npy\)"),
        (lambda path: path.mkdir(), "no .npy file in this folder"),
        (lambda path: None, "no such file or folder, and no .npy files begin like this"),
    ],
)
def test_what_holds_no_arrays_is_one_line(tmp_path: Path, make: Callable[[Path], Any], message: str) -> None:
    path = tmp_path / "codes"
    make(path)
    with pytest.raises(DataError, match=message):
        read_codes(path)


# -- HDF5 --------------------------------------------------------------------------------------------


def test_hdf5_holds_arrays_and_says_how_they_are_compared(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    values = np.arange(12, dtype=np.float32).reshape(3, 4)
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file.attrs["distance"] = "euclidean"
        file["train"], file["empty"] = values, h5py.Empty("f")
        file.create_group("group")
    found = open_arrays(tmp_path / "a.hdf5")
    assert found.distance == "euclidean"
    assert list(found.arrays) == ["train"]
    np.testing.assert_array_equal(found.read(["train"])["train"], values)


@pytest.mark.parametrize("kind", ["link", "soft link", "external", "virtual", "objects"])
def test_hdf5_that_leads_elsewhere_is_refused(tmp_path: Path, kind: str) -> None:
    h5py = pytest.importorskip("h5py")
    (tmp_path / "secret").write_bytes(bytes(range(100)))
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        if kind == "link":
            file["train"] = h5py.ExternalLink(str(tmp_path / "secret"), "/x")
        elif kind == "soft link":
            file["train"] = h5py.SoftLink("/elsewhere")
        elif kind == "external":
            file.create_dataset("train", (10,), "u1", external=[(str(tmp_path / "secret"), 0, 10)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((4,), "u1")
            layout[:] = h5py.VirtualSource(str(tmp_path / "b.hdf5"), "x", (4,))
            file.create_virtual_dataset("train", layout)
        else:
            file.create_dataset("train", (2,), h5py.string_dtype())
    with pytest.raises(DataError, match="is a link|lie in other files|holds objects"):
        read_codes(tmp_path / "a.hdf5")


def test_without_h5py_the_line_to_type_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        MissingPackageError, match=r"a\.hdf5, an HDF5 file, needs .* pip install 'hash-pareto\[hdf5\]'"
    ):
        read_codes(tmp_path / "a.hdf5")
