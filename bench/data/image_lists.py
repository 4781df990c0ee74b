"""List files of hashing papers: ``path label label ...``, one 0 or 1 per class, one file per part.

A folder holds ``train.txt``, ``test.txt`` (the queries) and ``database.txt``. Whether training images lie
inside the database is up to the lists.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass, field
from os.path import isfile
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.finding import below
from bench.data.image_files import ImageFiles
from bench.data.list_text import quoted, read_lines
from bench.data.skipping import FileImages, readable
from bench.errors import DataError, MissingDataError
from bench.interfaces import Dataset
from bench.types import Augmentation, ImageSet, Parameters, Seed, Side, Splits, later

#: Files by part, in the order in which images are numbered.
FILES = {"database": "database.txt", "train": "train.txt", "query": "test.txt"}


class FixedSplits(Parameters):
    """Query, training images and database are published; only the validation images are drawn."""

    val_share: float = Field(
        0.1, ge=0, lt=1, description="share of train held out for choosing an epoch; 0 = none is"
    )
    split_seed: Seed = Field(0, description="draws the validation images; not the training seed")


class UndividedSplits(FixedSplits):
    """As ``FixedSplits``, of sets that are mostly trained on without a loss that chooses an epoch."""

    val_share: float = Field(
        0.0, ge=0, lt=1, description="share of train held out for choosing an epoch; 0 = none is"
    )


class ListFiles(FixedSplits, FileImages):
    """Where the lists and the images are, and at which size images are kept."""

    lists: str = Field(description="folder of the list files, relative to the data root")
    images: str = Field(
        description="folder that the paths in the lists start from, relative to the data root"
    )
    side: Side = Field(256, description="pixels; the shorter side is resized, the centre square is cut")
    crops: Literal["centre", "whole"] = later(
        "centre",
        description="random views show parts of the centre square, which is searched, or of the whole image",
    )


@dataclass(frozen=True)
class PartedImages(ImageSet):
    """Images that come with their parts.

    Attributes:
        parts: sorted int64 indices of ``query``, ``train`` (validation included) and ``database``.
    """

    parts: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)


@dataclass(frozen=True)
class ListFile:
    """One list as read.

    Attributes:
        names: paths as they stand in the file.
        numbers: their line numbers.
        labels: uint8 (n, classes) 0/1.
    """

    path: Path
    names: list[str]
    numbers: list[int]
    labels: NDArray[np.uint8]

    def at(self, row: int) -> str:
        """``file:line`` of an image."""
        return f"{self.path}:{self.numbers[row]}"


class ListDataset(Dataset):
    """Base of data sets that are list files and images; a plug-in adds names, sizes and sources."""

    #: as in the grid, for messages and protocols
    name: ClassVar[str]
    classes: ClassVar[int]
    #: labels become class indices, and an image without exactly one label is an error
    single_label: ClassVar[bool] = False
    #: sizes of query, train and database in the published lists; None where they could not be counted
    published: ClassVar[tuple[int, int, int | None]]
    #: what to fetch, from where, how large
    source: ClassVar[str]

    def sizes(self) -> dict[str, int]:
        """Those of the published lists."""
        parts = zip(("query", "train", "database"), self.published, strict=True)
        return {name: size for name, size in parts if size is not None}

    def prepare(self, root: Path) -> str:
        """Check that all lists and images are there, and count them; nothing can be downloaded."""
        images = self.load(root)
        assert isinstance(images.pixels, ImageFiles)
        images.pixels.digest()
        counts = ", ".join(f"{len(index):,} {part}" for part, index in images.parts.items())
        bare = 0 if self.single_label else int((images.labels[images.parts["query"]].sum(1) == 0).sum())
        note = f"; {bare} queries have no label and count as AP 0" if bare else ""
        return f"{self.name}: {len(images):,} images ({counts}) in {below(root, self.params.images)}{note}"

    def load(self, root: Path) -> PartedImages:
        """Read the lists; images stay in their files until they are asked for."""
        p = self.params
        folder, images = below(root, p.lists), below(root, p.images)
        for path in [*(folder / file for file in FILES.values()), images]:
            if not path.exists():
                raise MissingDataError(
                    f"{self.name}: {path} is not there; put {', '.join(FILES.values())} into {folder} (lists "
                    f"as in https://github.com/swuxyj/DeepHash-pytorch) and the images into {images}: "
                    f"{self.source}"
                )
        lists = {part: read_list(folder / file, self.classes) for part, file in FILES.items()}
        names, labels, parts = joined(lists, p.images, single_label=self.single_label)
        # Lists and images from different places are the usual mistake; all files are checked by prepare.
        if not isfile(root / names[0]):
            raise MissingDataError(
                f"{self.name}: {quoted(names[0])}, the first image of {folder / FILES['database']}, is not "
                f"below {root}; put the images into {images} or name their folder in 'images'. {self.source}"
            )
        paths, sliding = tuple(root / name for name in names), p.crops == "whole"
        pixels = ImageFiles(paths, p.side, sliding=sliding, unreadable=p.unreadable)
        crop = 224 / 256
        views = Augmentation(crop, True, crop)
        return readable(PartedImages(pixels, labels, self.classes, views, None, parts))

    def splits(self, images: ImageSet) -> Splits:
        """As the lists say; validation is drawn from train."""
        return fixed_splits(f"{self.name}-lists", images, self.params)


def fixed_splits(name: str, images: ImageSet, params: FixedSplits) -> Splits:
    """Published parts, with a seeded share of train held out for validation.

    Args:
        name: of the protocol; the sizes, the share and the seed are added to it.
        images: a ``PartedImages``.
        params: share and seed.

    Raises:
        DataError: train has fewer than two images, and some are to be held out.
    """
    assert isinstance(images, PartedImages)
    query, train, database = (images.parts[part] for part in ("query", "train", "database"))
    if params.val_share and len(train) < 2:
        cure = "list more in train, or set val_share: 0"
        raise DataError(f"{name}: {len(train)} training image leaves none for validation; {cure}")
    held = held_out(params.val_share, len(train))
    order = np.random.default_rng(params.split_seed).permutation(train)
    return Splits(
        protocol=f"{name}-q{len(query)}-t{len(train)}-d{len(database)}-v{params.val_share:g}-s{params.split_seed}",
        query=query,
        train=np.sort(order[held:]),
        val=np.sort(order[:held]),
        database=database,
    )


def held_out(share: float, count: int) -> int:
    """How many of ``count`` are a share: at least one of several, never all; none of a share of 0."""
    return min(max(1, round(share * count)), max(count - 1, 0)) if share else 0


def read_list(path: Path, classes: int) -> ListFile:
    """Read one list file; empty lines are skipped.

    Raises:
        DataError: it is no list; names the line that has too few or too many labels, or another one than 0
            and 1.
    """
    names: list[str] = []
    numbers: list[int] = []
    rows: list[str] = []
    width = 2 * classes - 1
    # One string per line in Python, the labels (millions in NUS-WIDE) in numpy.
    for number, line in enumerate(read_lines(path), 1):
        name, _, row = line.partition(" ")
        if not name or len(row) != width:
            name, *labels = line.split() or [""]
            if not name:
                continue
            row = " ".join(labels)
            if len(row) != width:
                raise DataError(f"{path}:{number}: {_fault(row, classes)}")
        names.append(name)
        numbers.append(number)
        rows.append(row)
    if not names:
        raise DataError(f"{path}: lists no image; fetch it again")
    characters = np.frombuffer("".join(rows).encode("ascii", "replace"), np.uint8).reshape(-1, width)
    values, gaps = characters[:, ::2] - ord("0"), characters[:, 1::2]
    wrong = (values > 1).any(1) | (gaps != ord(" ")).any(1)
    if wrong.any():
        first = int(wrong.argmax())
        raise DataError(f"{path}:{numbers[first]}: {_fault(rows[first], classes)}")
    return ListFile(path, names, numbers, values)


def joined(
    lists: Mapping[str, ListFile], images: str, *, single_label: bool
) -> tuple[list[str], NDArray[Any], dict[str, NDArray[np.int64]]]:
    """Number the distinct images of all lists.

    Args:
        lists: by part, see ``FILES``.
        images: folder that the paths start from, relative to the data root.
        single_label: whether every image has one class.

    Returns:
        Paths relative to the data root, by image; labels, uint8 (n, classes), or int64 (n,) for
        ``single_label``; sorted indices of each part.

    Raises:
        DataError: a path leaves the data root, a list has an image twice, queries are in another list,
            or two lists disagree about an image's labels.
    """
    positions: dict[str, int] = {}
    rows: dict[str, NDArray[np.int64]] = {}
    for part, entries in lists.items():
        names = [_inside(entries, row, images) for row in range(len(entries.names))]
        _refuse_duplicates(entries, names)
        rows[part] = np.array([positions.setdefault(name, len(positions)) for name in names], np.int64)
    names, test = list(positions), lists["query"].path
    leaked = np.intersect1d(rows["query"], np.concatenate([rows["train"], rows["database"]]))
    if len(leaked):
        raise DataError(
            f"{test}: {len(leaked)} of {len(rows['query'])} queries are also in {FILES['train']} or "
            f"{FILES['database']} (first: {quoted(names[leaked[0]])}); take them out of one of the lists"
        )
    labels = np.zeros((len(names), lists["query"].labels.shape[1]), np.uint8)
    for part, entries in lists.items():
        labels[rows[part]] = entries.labels
    for part, entries in lists.items():
        other = (labels[rows[part]] != entries.labels).any(1)
        if other.any():
            raise DataError(
                f"{entries.at(int(other.argmax()))}: other labels than in another list ({int(other.sum())} "
                "such images); fetch the lists again, all from one source"
            )
        wrong = entries.labels.sum(1) != 1
        if single_label and wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"{entries.at(row)}: {entries.labels[row].sum()} labels are 1, but an image of this set has "
                "one class; correct the line"
            )
    parts = {part: np.sort(index) for part, index in rows.items()}
    return names, labels.argmax(1) if single_label else labels, parts


def _inside(entries: ListFile, row: int, images: str) -> str:
    """The normalised path relative to the data root; links are not followed, they are the user's own."""
    name = entries.names[row]
    path = posixpath.normpath(f"{images}/{name}")
    if name.startswith("/") or "\\" in name or path.startswith(("../", "/")) or path == "..":
        raise DataError(
            f"{entries.at(row)}: {quoted(name)} leaves the data root; make it relative to '{images}'"
        )
    return path


def _refuse_duplicates(entries: ListFile, names: list[str]) -> None:
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    again = [row for row, name in enumerate(names) if name in seen or seen.add(name)]  # type: ignore[func-returns-value]
    raise DataError(
        f"{entries.at(again[0])}: {len(again)} lines name an image a second time (first: "
        f"{quoted(entries.names[again[0]])}); delete them"
    )


def _fault(row: str, classes: int) -> str:
    """What is wrong with the labels of a line."""
    labels = row.split()
    if len(labels) != classes:
        return f"{len(labels)} labels behind the path, but the set has {classes} classes; correct the line"
    label = next(label for label in labels if label not in {"0", "1"})
    return f"label {quoted(label)} is not 0 or 1; correct the line"
