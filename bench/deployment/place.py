"""Where a bundle is put: whole or not at all, and never in the place of what would be missed."""

from __future__ import annotations

import glob
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from bench.deployment.bundle import FILE, Bundle
from bench.errors import UsageError


def check_place(folder: Path, replace: bool, zipped: bool = False) -> None:
    """Refuse a place where something would be lost.

    Args:
        replace: whether an older bundle makes room.
        zipped: whether the folder will be ``packed``, too.

    Raises:
        UsageError: says what is there.
    """
    if zipped and not replace and _zip_of(folder).exists():
        raise UsageError(f"{_zip_of(folder)}: there already; give another folder, or --replace both")
    if not folder.exists():
        return
    if not (folder / FILE).is_file():
        if folder.is_dir() and not any(folder.iterdir()):
            return
        raise UsageError(f"{folder}: there already, and no bundle; give another folder")
    if not replace:
        raise UsageError(f"{folder}: a bundle is there; give another folder, or --replace it")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if others := sorted(found - _of_bundle(folder)):
        raise UsageError(
            f"{folder}: holds {others[0]}, which is not of the bundle and would be lost; move it away"
        )


def _of_bundle(folder: Path) -> set[str]:
    try:
        return {FILE, *Bundle.read(folder).files}
    except UsageError as error:
        raise UsageError(
            f"{folder}: no whole bundle, which is not replaced; move it away ({error})"
        ) from error


@contextmanager
def put_in_place(folder: Path, replace: bool) -> Iterator[Path]:
    """A folder beside ``folder`` that becomes it if nothing goes wrong, and vanishes otherwise.

    Raises:
        UsageError: the disk is full, or by now something is there that would be lost.
    """
    folder = folder.resolve()  # in the place of a link, what it leads to
    place = folder.with_name(f".{folder.name}.{os.getpid()}")
    for left in folder.parent.glob(f".{glob.escape(folder.name)}.*"):
        if left.suffix[1:].isdecimal() and not _at_work(int(left.suffix[1:])):
            shutil.rmtree(left, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        with _room_told(folder):
            yield place
        check_place(folder, replace)
        older = place.with_name(f"{place.name}.older")
        if folder.exists():
            folder.rename(older)
        place.rename(folder)
        shutil.rmtree(older, ignore_errors=True)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _at_work(process: int) -> bool:
    """Whether a process of this machine still is, where one can ask without ending it."""
    if sys.platform == "win32":
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def packed(folder: Path) -> Path:
    """One file beside the folder; weights hardly shrink, so that packing them would cost time alone.

    Raises:
        UsageError: the disk is full.
    """
    path = _zip_of(folder)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with _room_told(path), zipfile.ZipFile(partial, "w") as archive:
            for file in sorted(folder.rglob("*")):
                archive.write(file, Path(path.stem) / file.relative_to(folder))
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path


def _zip_of(folder: Path) -> Path:
    return folder.parent / f"{folder.absolute().name}.zip"


@contextmanager
def _room_told(path: Path) -> Iterator[None]:
    """A full disk is nobody's defect; errors that name a file are told elsewhere."""
    try:
        yield
    except (OSError, SafetensorError) as error:
        if getattr(error, "filename", None) is not None:
            raise
        raise UsageError(f"{path}: cannot be written ({error}); give a place with more room") from error
