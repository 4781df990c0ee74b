"""Revisited Oxford and Paris as published: a ground-truth pickle beside a folder of JPEG files.

    <root>/roxford5k/gnd_roxford5k.pkl
    <root>/roxford5k/jpg/<name>.jpg

Images are numbered: database in the order of the ground truth, then queries, then training images, then
distractors, which are looked through beside the database (``bench.data.distractors``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bench.data import safe_pickle
from bench.data.distractors import distractors
from bench.data.finding import Finder, below
from bench.data.image_files import ImageFiles
from bench.data.image_lists import PartedImages, UndividedSplits, fixed_splits
from bench.data.skipping import FileImages, readable
from bench.errors import DataError, MissingDataError
from bench.interfaces import Dataset
from bench.types import Augmentation, ImageSet, Judge, RevisitedTruth, Side, Splits, later

SUFFIXES = (".jpg", ".jpeg", ".png")
GROUND_TRUTH = "https://github.com/filipradenovic/revisitop"
Box = tuple[float, float, float, float]
#: Of lists of database images, in the order of ``RevisitedTruth``.
KINDS = ("easy", "hard", "junk")


@dataclass(frozen=True)
class _Known:
    """What a ground truth says.

    Attributes:
        database, queries: names of the images.
        boxes, answers: of each query, and the database images of each kind.
    """

    path: Path
    database: list[str]
    queries: list[str]
    boxes: list[Box]
    answers: list[dict[str, NDArray[np.int64]]]


class RevisitedParams(UndividedSplits, FileImages):
    """At which size images are kept, and what to train on: the sets themselves have no training images."""

    side: Side = Field(1024, description="pixels; the longer side is resized, the rest is padded")
    train_folder: str | None = Field(
        None, description="training images, relative to the data root; null = the set can only be evaluated"
    )
    train_labels: bool = Field(
        False, description="whether the folders inside train_folder are landmarks; else there are no labels"
    )

    distractors: str | None = later(
        None,
        description="images of other things that join the database, such as the published million: a "
        "folder, or a list with a path a line, relative to the data root",
    )

    @model_validator(mode="after")
    def _labels_of_something(self) -> Self:
        if self.train_labels and self.train_folder is None:
            raise ValueError("train_labels needs a train_folder that has a folder for each landmark")
        return self


class RevisitedDataset(Dataset):
    """Base of the two sets; a plug-in adds its name, sizes and sources.

    Queries are cropped to their box, as the protocol demands. The published protocol describes images at
    their own size and aspect ratio; here every image lies in a square, whose padding keeps the aspect
    ratio at the cost of computing it.
    """

    default_k = None
    judged_by: ClassVar[Judge] = "revisited"
    #: as in the grid; names folder and ground truth too
    name: ClassVar[str]
    #: number of queries and database images in the published ground truth
    published: ClassVar[dict[str, int]]
    #: where the images come from
    source: ClassVar[str]

    @property
    def labelled(self) -> bool:
        """As ``train_labels`` says."""
        return bool(self.params.train_labels)

    def sizes(self) -> dict[str, int]:
        """Those of the published ground truth; training images are the user's own."""
        return dict(self.published)

    def prepare(self, root: Path) -> str:
        """Check that the ground truth and all images are there; nothing is downloaded."""
        images = self.load(root)
        assert isinstance(images.pixels, ImageFiles)
        counts = ", ".join(f"{len(index):,} {part}" for part, index in images.parts.items())
        return f"{self.name}: {len(images):,} images ({counts}) in {self._folder(root)}"

    def load(self, root: Path) -> PartedImages:
        """Read the ground truth; images stay in their files until they are asked for."""
        folder, finder = self._folder(root), Finder()
        known = _read(folder / f"gnd_{self.name}.pkl")
        paths, items = self._judged_images(folder, known), len(known.database)
        files, landmarks = self._training_images(root, finder, paths)
        further = self._distractors(root, finder, [*paths, *files])
        classes = max(landmarks, default=0) + 1
        # Queries and database have no labels; that of no landmark stands for it.
        labels = np.full(len(paths) + len(files) + len(further), classes, np.int64)
        labels[len(paths) : len(paths) + len(files)] = landmarks
        cut = {items + number: box for number, box in enumerate(known.boxes)}
        side, unreadable = self.params.side, self.params.unreadable
        pixels = ImageFiles(
            (*paths, *files, *further), side, "pad", cut, finder.left_out, unreadable=unreadable
        )
        parts = {
            "query": np.arange(items, len(paths)),
            "train": np.arange(len(paths), len(paths) + len(files)),
            "database": np.r_[np.arange(items), np.arange(len(paths) + len(files), len(labels))],
        }
        answers = ({items + i: one[kind] for i, one in enumerate(known.answers)} for kind in KINDS)
        views = Augmentation(crop=1.0, shift=0.0625)
        return readable(PartedImages(pixels, labels, classes, views, RevisitedTruth(*answers), parts))

    def splits(self, images: ImageSet) -> Splits:
        """Queries and database as published; a share of the training images, if there are any, is val."""
        assert isinstance(images, PartedImages)
        name = f"{self.name}-revisited" + ("+distractors" if self.params.distractors else "")
        if len(images.parts["train"]):
            return fixed_splits(name, images, self.params)
        query, none, database = (images.parts[part] for part in ("query", "train", "database"))
        return Splits(f"{name}-q{len(query)}-d{len(database)}", query, none, none, database)

    def _folder(self, root: Path) -> Path:
        """The folder that holds the ground truth."""
        file = f"gnd_{self.name}.pkl"
        for folder in (root / self.name, root / "datasets" / self.name, root):
            if (folder / file).is_file():
                return folder
        raise MissingDataError(
            f"{self.name}: {file} is not in {root / self.name}; fetch it from {GROUND_TRUTH}, and the images "
            f"from {self.source} into {root / self.name / 'jpg'}"
        )

    def _judged_images(self, folder: Path, known: _Known) -> list[Path]:
        """Files of database and queries."""
        images, names = folder / "jpg", known.database + known.queries
        outside = [name for name in names if Path(name).name != name]
        if outside:
            raise DataError(f"{known.path}: image name '{outside[0]}' leads out of {images}; fetch it again")
        paths = [images / f"{name}.jpg" for name in names]
        absent = [path for path in paths if not path.is_file()]
        if absent:
            raise MissingDataError(
                f"{self.name}: {len(absent)} of {len(paths)} images are not in {images} (first: "
                f"{absent[0].name}); unpack the images of {self.source} there, without folders inside"
            )
        return paths

    def _training_images(
        self, root: Path, finder: Finder, judged: list[Path]
    ) -> tuple[list[Path], list[int]]:
        """Training images, none of them ``judged``, and their landmarks; 0 for all without labels."""
        if self.params.train_folder is None:
            return [], []
        files, landmarks = self._found(below(root, self.params.train_folder), finder)
        own = {path.resolve() for path in judged} & {path.resolve() for path in files}
        if own:
            raise DataError(
                f"{self.name}: {len(own)} of its own images are below train_folder "
                f"{self.params.train_folder} (first: {min(own).name}); name a folder of other images"
            )
        return files, landmarks

    def _distractors(self, root: Path, finder: Finder, known: list[Path]) -> list[Path]:
        """What is looked through beside the database; none of the images that are ``known``."""
        if self.params.distractors is None:
            return []
        files = distractors(below(root, self.params.distractors), finder)
        # Of a million, only those are looked up that have the name of another.
        names = {path.name for path in known} & {path.name for path in files}
        one, other = ({path.resolve() for path in some if path.name in names} for some in (known, files))
        if own := one & other:
            raise DataError(
                f"{self.name}: {len(own)} images of database, queries or training are among the distractors "
                f"of {self.params.distractors} (first: {min(own).name}); take them out of it"
            )
        return files

    def _found(self, folder: Path, finder: Finder) -> tuple[list[Path], list[int]]:
        if not folder.is_dir():
            raise MissingDataError(
                f"{self.name}: the training images are not in {folder}; put them there or name their folder "
                "in train_folder, relative to the data root"
            )
        if not self.params.train_labels:
            files = finder.images(folder, SUFFIXES)
            landmarks = [0] * len(files)
        else:
            by_landmark = [finder.images(inner, SUFFIXES) for inner in finder.folders(folder)]
            by_landmark = [files for files in by_landmark if files]
            files = [file for landmark in by_landmark for file in landmark]
            landmarks = [number for number, landmark in enumerate(by_landmark) for _ in landmark]
        if not files:
            inside = "folders with images, one a landmark," if self.params.train_labels else "images"
            raise DataError(f"{self.name}: no {inside} in {folder}; correct train_folder or train_labels")
        return files, landmarks


def _read(path: Path) -> _Known:
    """Read a ground truth.

    Raises:
        DataError: it is damaged, or none.
    """
    try:
        return _parsed(path)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(
            f"{path}: not a ground truth of Revisited Oxford and Paris ({error!r}); fetch it again from "
            f"{GROUND_TRUTH}"
        ) from error


def _parsed(path: Path) -> _Known:
    content = safe_pickle.load(path, "latin1")
    database, queries = ([str(name) for name in content[key]] for key in ("imlist", "qimlist"))
    answers, boxes = [], list[Box]()
    for entry in content["gnd"]:
        one = {kind: np.asarray(entry[kind], np.int64).reshape(-1) for kind in KINDS}
        everything = np.concatenate(list(one.values()))
        if len(everything) and not 0 <= everything.min() <= everything.max() < len(database):
            raise ValueError(f"an index beyond the {len(database)} database images")
        left, top, right, bottom = map(float, entry["bbx"])
        answers.append(one)
        boxes.append((left, top, right, bottom))
    if len(answers) != len(queries):
        raise ValueError(f"{len(queries)} queries, but lists for {len(answers)}")
    return _Known(path, database, queries, boxes, answers)
