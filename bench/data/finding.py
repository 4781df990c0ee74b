"""Which files below a folder are images, and which were passed over."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.errors import DataError, escaped, path_fault, shortened

#: Endings of the files that count as images where a folder says what there is.
SUFFIXES = frozenset(
    {
        *(".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg"),
        *(".png", ".ppm", ".tif", ".tiff", ".webp"),
    }
)
#: Endings of pictures that not every PIL reads: what a folder holds must not depend on who looks.
FOREIGN = frozenset(
    {
        *(".arw", ".avif", ".cr2", ".cr3", ".dng", ".heic", ".heif", ".j2k", ".jp2", ".jxl"),
        *(".nef", ".orf", ".psd", ".raf", ".raw", ".rw2", ".svg", ".tga"),
    }
)
#: What the system says where there is no folder of a name.
_NOTHING = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG}


@dataclass(frozen=True)
class LeftOut:
    """What was passed over where images were looked for.

    Attributes:
        hidden: files and folders; what lies in such folders is not counted.
        others: ending in lower case, empty for none -> how many such files, and the first of them.
    """

    hidden: int = 0
    others: tuple[tuple[str, int, str], ...] = ()

    def sentences(self) -> list[str]:
        """One line for each kind, with the cure where these may be pictures."""
        said = []
        if self.hidden:
            what = "hidden files and folders" if self.hidden > 1 else "hidden file or folder"
            said.append(f"{self.hidden} {what} left out (its name begins with a dot, or is __MACOSX)")
        return said + [_told(*other) for other in self.others]

    def pictures(self) -> list[str]:
        """The lines of ``sentences`` about what may be pictures."""
        return [_told(*other) for other in self.others if _may_be_picture(other[0])]


def _may_be_picture(ending: str) -> bool:
    return ending in FOREIGN or ending in SUFFIXES or not ending


def _told(ending: str, count: int, first: str) -> str:
    files = "file" if count == 1 else "files"
    kind = f"{files} ending in {escaped(ending)}" if ending else f"{files} without an ending"
    cures = {"": "; give pictures the ending of their format"}
    cure = cures.get(ending, "; save such pictures as JPEG or PNG" if ending in FOREIGN else "")
    return f"{count:,} {kind} left out (first: {escaped(first)}){cure}"


class Finder:
    """Finds image files in folders, all but hidden ones, and counts what it passes over.

    Desktops, editors and archivers leave thumbnails, copies and attributes behind under hidden names:
    ``.thumbnails``, ``.ipynb_checkpoints``, ``._1.jpg``, ``__MACOSX``. Files that a list names are data
    whatever they are called: they are not looked for here.

    Attributes:
        hidden: files and folders so far; what lies in such folders is not counted.
    """

    def __init__(self) -> None:
        self.hidden = 0
        self._others = dict[str, tuple[int, str]]()

    @property
    def left_out(self) -> LeftOut:
        """What has been passed over so far."""
        return LeftOut(self.hidden, tuple((end, *some) for end, some in sorted(self._others.items())))

    def folders(self, folder: Path) -> list[Path]:
        """The folders in ``folder``, by name; files beside them are passed over."""
        found = list(self._visible(folder))
        for entry in found:
            if not _is_folder(entry):
                self._pass_over(entry)
        return sorted(Path(entry.path) for entry in found if _is_folder(entry))

    def images(self, folder: Path, suffixes: Collection[str] = SUFFIXES, *, deep: bool = True) -> list[Path]:
        """The images in ``folder``, and below it if ``deep``, in one order on every machine.

        Args:
            suffixes: of the files that count, in lower case.
        """
        return [Path(name) for name in self.walk(os.fspath(folder), suffixes, deep=deep)]

    def walk(self, folder: str, suffixes: Collection[str] = SUFFIXES, *, deep: bool = True) -> Iterator[str]:
        """``images`` one after the other: of any number, memory holds the names of a few folders."""

        def inside(folder: str) -> Iterator[tuple[str, bool]]:
            names = dict[str, bool]()
            for entry in self._visible(folder):
                if _is_folder(entry):
                    names |= {entry.name: True} if deep and not entry.is_symlink() else {}
                    continue
                if _ending(entry) in suffixes:
                    names[entry.name] = False
                else:
                    self._pass_over(entry)
            return ((os.path.join(folder, name), names[name]) for name in sorted(names))

        open_folders = [inside(folder)]
        while open_folders:
            for path, is_folder in open_folders[-1]:
                if is_folder:
                    open_folders.append(inside(path))
                    break
                yield path
            else:
                open_folders.pop()

    def _pass_over(self, entry: os.DirEntry[str]) -> None:
        count, first = self._others.get(_ending(entry), (0, entry.path))
        self._others[_ending(entry)] = count + 1, min(first, entry.path)

    def _visible(self, folder: str | Path) -> Iterator[os.DirEntry[str]]:
        try:
            opened = os.scandir(folder)
        except OSError as error:
            if error.errno in _NOTHING:
                return
            raise DataError(path_fault(error)) from error
        with opened as entries:
            for entry in entries:
                if hidden(entry.name):
                    self.hidden += 1
                else:
                    yield entry


def _ending(entry: os.DirEntry[str]) -> str:
    return os.path.splitext(entry.name)[1].lower()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    # A link that leads to itself is found to be no image by who opens it.
    with contextlib.suppress(OSError):
        return entry.is_dir()
    return False


def hidden(name: str) -> bool:
    """Whether a file or folder of this name holds something beside the data."""
    return name.startswith(".") or name == "__MACOSX"


def below(root: Path, name: str) -> Path:
    """The folder or file ``name`` relative to the data root.

    Raises:
        DataError: it would lie outside, or the system cannot look there.
    """
    relative = os.path.normpath(name)
    if os.path.isabs(relative) or relative.split(os.sep)[0] == os.pardir:
        raise DataError(
            f"'{escaped(shortened(name))}' is not below the data root {root}; give a path relative to "
            "it, without '..'"
        )
    try:
        (root / relative).exists()
    except OSError as error:
        raise DataError(path_fault(error)) from error
    return root / relative
