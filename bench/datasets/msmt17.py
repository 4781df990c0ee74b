"""MSMT17: persons seen by several cameras; each is to be found again in another camera's images.

L. Wei et al., "Person Transfer GAN to Bridge Domain Gap for Person Re-Identification", CVPR 2018. Parts are
lists of ``path number``; the third field of an image's name is its camera. Numbers of persons in the tests
have nothing to do with those in training.

    dataset: [msmt17]
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
from pydantic import Field

from bench.data import reid_files
from bench.data.finding import below
from bench.data.image_lists import PartedImages
from bench.data.list_text import quoted, read_lines
from bench.data.reid_files import Shot, SquashedImages
from bench.errors import DataError
from bench.interfaces import Dataset
from bench.registry import DATASETS
from bench.types import ImageSet, Judge, Splits

#: Part -> its list, and the folder that the paths in it start from.
PARTS = {
    "train": ("list_train.txt", "train"),
    "val": ("list_val.txt", "train"),
    "query": ("list_query.txt", "test"),
    "database": ("list_gallery.txt", "test"),
}
FOLDERS = ("MSMT17", "MSMT17_V1", "msmt17", ".")


@DATASETS.register
class Msmt17(Dataset):
    """The lists and the folders ``train`` and ``test`` of the release.

    Images are resized to one size whatever their shape was; ``side: 320x160`` is that of published results.
    """

    version = 2
    default_k = None
    judged_by: ClassVar[Judge] = "cameras"

    class Params(SquashedImages):
        """What becomes of the list of validation images."""

        validation: bool = Field(
            False,
            description="true: list_val is held out for choosing an epoch; false: trained on, as published",
        )

    def sizes(self) -> dict[str, int]:
        """Of training and validation list, for plans; what counts are the lists that are found."""
        return {"train": 32621}

    def prepare(self, root: Path) -> str:
        """Check that all images are there; nothing is downloaded."""
        return reid_files.summary("msmt17", _folder(root), self.load(root))

    def load(self, root: Path) -> PartedImages:
        """Read the lists; images stay in their files until they are asked for."""
        folder = _folder(root)
        parts = {part: _shots(folder / name, folder / inner) for part, (name, inner) in PARTS.items()}
        return reid_files.image_set(
            "msmt17",
            folder,
            parts,
            self.params.side,
            ["train", "val"],
            views=self.params.views(),
            unreadable=self.params.unreadable,
        )

    def splits(self, images: ImageSet) -> Splits:
        """As listed; nothing is drawn."""
        assert isinstance(images, PartedImages)
        query, database, train, val = (images.parts[part] for part in ("query", "database", "train", "val"))
        if self.params.validation:
            return Splits("msmt17-val", query, train, val, database)
        return Splits("msmt17", query, np.union1d(train, val), val[:0], database)


def _folder(root: Path) -> Path:
    source = "the set is given out on request by the authors of its paper (CVPR 2018)"
    needed = sorted({entry for pair in PARTS.values() for entry in pair})
    return reid_files.found("msmt17", root, FOLDERS, needed, f"{source}; unpack it into {root / FOLDERS[0]}")


def _shots(path: Path, folder: Path) -> list[Shot]:
    """Read one list: ``0000/0000_000_01_0303morning_0015_0.jpg 0`` is person 0 by camera 1."""
    shots = []
    for number, line in enumerate(read_lines(path), 1):
        if not line:
            continue
        try:
            name, identity = line.split()
            shot = Shot(below(folder, name), int(identity), int(name.rpartition("/")[2].split("_")[2]))
        except DataError as error:
            raise DataError(f"{path}:{number}: {error}") from error
        except (ValueError, IndexError) as error:
            raise DataError(
                f"{path}:{number}: {quoted(line)} is not '<folder>/<person>_<number>_<camera>_....jpg "
                "<person>'; fetch the list again"
            ) from error
        shots.append(shot)
    return shots
