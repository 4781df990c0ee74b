"""Arrays that strangers keep in files: ``.npz``, HDF5, folders of ``.npy``. Nothing in them is ever run.

A header is read first and believed in nothing that the file does not bear out: an array is read only if its
kind holds values alone, if as many bytes are there as its shape takes, and if they fit into memory. What
unpacks to endlessly much by its form alone, as no program writes it, is not opened.
"""

from __future__ import annotations

import contextlib
import io
import math
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from bench import environment
from bench.data.pickled_arrays import PLAIN_KINDS
from bench.errors import DataError, require, shortened

#: How files of each kind begin.
_ZIP, _NPY, _HDF5 = b"PK", b"\x93NUMPY", b"\x89HDF"

#: How many arrays a file may hold, and bytes of the header of one; numpy allows as many.
_MOST_ARRAYS, _LONGEST_HEADER = 1_000, 10_000

#: Values of a chunk of HDF5 that nothing is said about.
_LARGEST_CHUNK = 2**20

#: numpy counts no further.
_LONGEST_SIDE = 2**63 - 1

#: How numpy packs the entries of an ``.npz``. Others take memory that nothing in the file bounds.
_PACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}

#: Bytes that deflate makes of one at most.
_LARGEST_RATIO = 1032


@dataclass(frozen=True)
class StoredArray:
    """An array in a file, of which nothing but the header has been read.

    Attributes:
        read: returns the values, mapped into memory where that is possible.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    read: Callable[[], NDArray[Any]]

    @property
    def nbytes(self) -> int:
        """Bytes that its values take."""
        return math.prod(self.shape) * self.dtype.itemsize


@dataclass(frozen=True)
class ArrayFile:
    """Arrays by name, and what the file says of all of them.

    Attributes:
        whole: whether everything in it is meant for the reader; a folder may hold other things.
        distance: how vectors are compared, as ann-benchmarks writes it; empty where the file does not say.
    """

    path: Path
    arrays: Mapping[str, StoredArray]
    whole: bool = True
    distance: str = ""

    def read(self, names: list[str]) -> dict[str, NDArray[Any]]:
        """The values of some arrays.

        Raises:
            DataError: they are damaged, or take more memory than there is.
        """
        wanted = sum(self.arrays[name].nbytes for name in names)
        free = environment.available_memory()
        if free is not None and wanted > free:
            taken, room = (f"{number / 1e9:,.1f} GB" for number in (wanted, free))
            raise DataError(
                f"{self.path}: its arrays take {taken} and {room} of memory are free; use a machine with more"
            )
        with _told(self.path):
            return {name: self.arrays[name].read() for name in names}


def open_arrays(path: Path) -> ArrayFile:
    """The arrays in a file, in a folder of ``.npy`` files, or in those whose names begin with ``path``.

    Raises:
        DataError: there is no such file, or it holds no arrays that may be read.
        MissingPackageError: it is HDF5, and h5py is not installed.
    """
    if path.is_dir():
        files = _files(path.glob("*.npy"))
        return _open_folder(path, {file.stem: file for file in files}, "no .npy file in this folder")
    if not path.is_file():
        files = _files(file for file in path.parent.glob("*.npy") if file.name.startswith(path.name))
        named = {file.stem.removeprefix(path.name).lstrip("-_."): file for file in files}
        return _open_folder(path, named, "no such file or folder, and no .npy files begin like this")
    with _told(path), path.open("rb") as file:
        head = file.read(8)
    for begin, reader in ((_ZIP, _open_npz), (_HDF5, _open_hdf5)):
        if head.startswith(begin):
            return reader(path)
    what = "a single array" if head.startswith(_NPY) else "neither .npz nor HDF5"
    raise DataError(
        f"{path}: {what}; write query_codes, database_codes, query_labels and database_labels with "
        "numpy.savez, or give a folder of .npy files"
    )


def _files(paths: Iterable[Path]) -> list[Path]:
    """Those that can be read to an end, in order; a pipe called like a file has none."""
    return sorted(path for path in paths if path.is_file())


@contextlib.contextmanager
def _told(path: Path) -> Iterator[None]:
    """Whatever damaged bytes make of numpy, zipfile or h5py is one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's, of headers that Python 2 wrote
            yield
    except DataError:
        raise
    # Damaged bytes may mean anything to them, so any exception may come.
    except Exception as error:
        reason = shortened(" ".join(str(error).split())) or type(error).__name__
        raise DataError(f"{path}: damaged, or not what its name says ({reason}); write it again") from error


# -- numpy's format --------------------------------------------------------------------------------


def _open_folder(path: Path, files: dict[str, Path], nothing: str) -> ArrayFile:
    if not files:
        raise DataError(f"{path}: {nothing}; give an .npz or HDF5 file, or a folder of .npy files")
    _count(path, len(files))
    found = {}
    for name, file in files.items():
        with _told(file), file.open("rb") as stream:
            dtype, shape, start = _header(stream)
            _check(file, name, dtype, shape, file.stat().st_size - start)
        found[name] = StoredArray(dtype, shape, _mapped(file))
    return ArrayFile(path, found, whole=False)


def _mapped(file: Path) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        with _told(file):
            return np.asarray(np.load(file, mmap_mode="r", allow_pickle=False))

    return read


def _open_npz(path: Path) -> ArrayFile:
    found = {}
    with _told(path), zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
        _count(path, len(entries))
        size = path.stat().st_size
        for entry in entries:
            name = entry.filename.removesuffix(".npy")
            if name in found:
                raise DataError(f"{path}: two arrays are called {shortened(name)!r}; write it again")
            if entry.compress_type not in _PACKED:
                raise DataError(
                    f"{path}: array {shortened(name)!r} is packed in a way that numpy has not; write it with "
                    "numpy.savez_compressed"
                )
            if entry.file_size > _LARGEST_RATIO * min(entry.compress_size, size):
                raise DataError(
                    f"{path}: array {shortened(name)!r} is to unpack to {entry.file_size:,} bytes, and "
                    f"{entry.compress_size:,} are there; write it again"
                )
            with archive.open(entry) as stream:
                dtype, shape, start = _header(stream)
            _check(path, name, dtype, shape, entry.file_size - start)
            found[name] = StoredArray(dtype, shape, _unpacked(path, entry))
    if not found:
        raise DataError(f"{path}: a zip file without arrays (.npy); write it with numpy.savez")
    return ArrayFile(path, found)


def _unpacked(path: Path, entry: zipfile.ZipInfo) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        with zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
            values: NDArray[Any] = np.lib.format.read_array(stream, allow_pickle=False)
            stream.read(1)  # at the end of the entry, its checksum is compared
            return values

    return read


def _header(stream: IO[bytes]) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Type, shape, and how many bytes said so."""
    version = np.lib.format.read_magic(stream)
    readers = {
        (1, 0): (np.lib.format.read_array_header_1_0, 2),
        (2, 0): (np.lib.format.read_array_header_2_0, 4),
    }
    if version not in readers:
        raise ValueError(f"version {version} of numpy's format, which plain arrays do not need")
    reader, width = readers[version]
    count = stream.read(width)
    length = int.from_bytes(count, "little")
    if length > _LONGEST_HEADER:  # numpy would read it first
        raise ValueError(f"a header of {length:,} bytes")
    shape, _, dtype = reader(io.BytesIO(count + stream.read(length)))
    return dtype, tuple(map(int, shape)), stream.tell()


def _count(path: Path, arrays: int) -> None:
    if arrays > _MOST_ARRAYS:
        raise DataError(f"{path}: {arrays:,} arrays; codes and their labels are a few; give a file of them")


def _check(
    path: Path, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], there: int | None = None
) -> None:
    """Refuse what holds more than values, and what is longer or shorter than it says."""
    if dtype.kind not in PLAIN_KINDS:
        what = "objects" if dtype.hasobject else dtype.name
        raise DataError(
            f"{path}: array {shortened(name)!r} holds {what}, which are never read; write it as numbers"
        )
    if min(shape, default=0) < 0 or max(shape, default=0) > _LONGEST_SIDE or not dtype.itemsize:
        raise DataError(
            f"{path}: array {shortened(name)!r} has the shape {shortened(str(shape))} of {dtype}, which no "
            "array has; write it again"
        )
    taken = math.prod(shape) * dtype.itemsize
    if there is not None and taken != there:
        raise DataError(
            f"{path}: array {shortened(name)!r} is to take {taken:,} bytes and {there:,} are there; write it "
            "again"
        )


# -- HDF5 --------------------------------------------------------------------------------------------


def _open_hdf5(path: Path) -> ArrayFile:
    require(f"reading {path.name}, an HDF5 file,", "hdf5", "h5py")
    import h5py

    found = {}
    with _told(path), h5py.File(path, "r") as file:
        _count(path, len(file))
        for name in file:
            # Links may lead to other files, and so may data that are stored outside or put together.
            if not isinstance(file.get(name, getlink=True), h5py.HardLink):
                raise DataError(f"{path}: {shortened(name)!r} is a link, and only what is in it is read")
            stored = file[name]
            if not isinstance(stored, h5py.Dataset) or stored.shape is None:
                continue
            if stored.external or stored.is_virtual:
                raise DataError(f"{path}: the values of {shortened(name)!r} lie in other files; copy them in")
            shape = tuple(map(int, stored.shape))
            _check(path, name, stored.dtype, shape)
            _check_chunks(path, name, stored)
            found[name] = StoredArray(stored.dtype, shape, _in_hdf5(path, name))
        said = "distance" in file.attrs and file.attrs.get_id("distance").shape == ()
        distance = file.attrs["distance"] if said else ""
    if not found:
        raise DataError(f"{path}: an HDF5 file without arrays; train and test are what is looked for")
    return ArrayFile(path, found, whole=False, distance=_text(distance))


def _check_chunks(path: Path, name: str, stored: Any) -> None:
    """Refuse values that the file does not hold: HDF5 makes them up where it has none, as many as it says."""
    if stored.chunks is None:
        there = stored.id.get_storage_size() >= stored.nbytes
    else:
        sides = zip(stored.shape, stored.chunks, strict=True)
        there = stored.id.get_num_chunks() >= math.prod(-(-side // chunk) for side, chunk in sides)
        # A chunk is unpacked as a whole, however little of it is used.
        there = there and math.prod(stored.chunks) <= 2 * max(stored.size, _LARGEST_CHUNK)
    if not there:
        raise DataError(f"{path}: the values of {shortened(name)!r} are not all in the file; write it again")


def _in_hdf5(path: Path, name: str) -> Callable[[], NDArray[Any]]:
    def read() -> NDArray[Any]:
        import h5py

        with h5py.File(path, "r") as file:
            return np.asarray(file[name][()])

    return read


def _text(value: object) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
