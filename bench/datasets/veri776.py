"""VeRi-776: 776 vehicles seen by 20 cameras; a vehicle is to be found again in another camera's images.

X. Liu et al., "A Deep Learning-Based Approach to Progressive Vehicle Re-identification for Urban
Surveillance", ECCV 2016. Images are named ``<vehicle>_c<camera>_...``; vehicle -1 is nobody's.

    dataset: [veri776]
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import ClassVar

from bench.data import reid_files
from bench.data.finding import Finder
from bench.data.image_lists import PartedImages, UndividedSplits, fixed_splits
from bench.data.reid_files import Shot, SquashedImages
from bench.errors import DataError
from bench.interfaces import Dataset
from bench.registry import DATASETS
from bench.types import ImageSet, Judge, Splits

PARTS = {"train": "image_train", "query": "image_query", "database": "image_test"}
FOLDERS = ("VeRi", "VeRi-776", "veri776", ".")
NAME = re.compile(r"(-?\d+)_c(\d+)_")


@DATASETS.register
class VeRi776(Dataset):
    """The folders ``image_train``, ``image_query`` and ``image_test`` of the release.

    Images are resized to a square whatever their shape, as is usual for this set.
    """

    version = 2
    default_k = None
    judged_by: ClassVar[Judge] = "cameras"

    class Params(UndividedSplits, SquashedImages):
        """Validation images, if any, are drawn from the training images."""

    def sizes(self) -> dict[str, int]:
        """Those of the release."""
        return {"query": 1678, "train": 37778, "database": 11579}

    def prepare(self, root: Path) -> str:
        """Check that all images are there; nothing is downloaded."""
        return reid_files.summary("veri776", _folder(root), self.load(root))

    def load(self, root: Path) -> PartedImages:
        """List the folders; images stay in their files until they are asked for."""
        folder = _folder(root)
        finder = Finder()
        parts = {part: _shots(folder / inner, finder) for part, inner in PARTS.items()}
        return reid_files.image_set(
            "veri776",
            folder,
            parts,
            self.params.side,
            ["train"],
            views=self.params.views(),
            unreadable=self.params.unreadable,
            left_out=finder.left_out,
        )

    def splits(self, images: ImageSet) -> Splits:
        """Parts as published; validation is drawn from train."""
        return fixed_splits("veri776", images, self.params)


def _folder(root: Path) -> Path:
    cure = (
        "the set is given out on request, see https://github.com/JDAI-CV/VeRidataset; "
        f"unpack it into {root / FOLDERS[0]}"
    )
    return reid_files.found("veri776", root, FOLDERS, list(PARTS.values()), cure)


def _shots(folder: Path, finder: Finder) -> list[Shot]:
    """The images of a folder by name, those of identity -1 left out."""
    shots = []
    for path in finder.images(folder, [".jpg"], deep=False):
        match = NAME.match(path.name)
        if match is None:
            raise DataError(
                f"{path}: not named <vehicle>_c<camera>_....jpg; delete it, or fetch the set again"
            )
        identity, camera = map(int, match.groups())
        if identity != -1:
            shots.append(Shot(path, identity, camera))
    return shots
