"""Images of your own: a folder with one subfolder per class, in the class-balanced protocol.

Every class gives the same number of query and training images, drawn from the split seed; the database is
all but the queries.

    dataset: [{name: image_folder, params: {folder: flowers, query_per_class: 20, train_per_class: 100}}]

``python -m bench data prepare image_folder --set folder=flowers`` says whether it fits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from bench.data.image_files import Finder, Fit, ImageFiles, below
from bench.data.splits import ClassBalanced, class_balanced
from bench.errors import DataError, MissingDataError
from bench.interfaces import Dataset
from bench.registry import DATASETS
from bench.types import Augmentation, ImageSet, Side, Splits


@DATASETS.register
class ImageFolder(Dataset):
    """Class names are the names of the subfolders, in alphabetical order."""

    version = 1
    default_k = None

    class Params(ClassBalanced):
        """Where the images are, how they are brought to one size, and the protocol's quotas."""

        folder: str = Field("images", description="relative to the data root; one subfolder per class")
        side: Side = Field(256, description="pixels; training sees random crops of 7/8 of it")
        fit: Fit = Field("crop", description="crop: centre square; pad: grey bars; squash: change the shape")
        flip: bool = Field(True, description="false where a mirror image means something else")

    def prepare(self, root: Path) -> str:
        """Count what is there; nothing can be downloaded."""
        images = self.load(root)
        where = below(root, self.params.folder)
        return f"image_folder: {len(images):,} images in {images.classes} classes in {where}"

    def load(self, root: Path) -> ImageSet:
        """List the files; labels int64 (n,). Images are decoded when they are asked for."""
        folder = below(root, self.params.folder)
        if not folder.is_dir():
            raise MissingDataError(
                f"image_folder: {folder} is not there; make it, with one subfolder of images per class, or "
                "set the parameter 'folder' to the name of another one below the data root"
            )
        finder = Finder()
        classes = finder.folders(folder)
        if len(classes) < 2:
            there = "1 subfolder" if classes else "no subfolders"
            raise DataError(f"image_folder: {folder} has {there}; make one per class, two or more")
        paths: list[Path] = []
        counts: list[int] = []
        for entry in classes:
            found = finder.images(entry)
            if not found:
                raise DataError(f"image_folder: no images in {entry}; put some there or delete the folder")
            paths += found
            counts.append(len(found))
        labels = np.repeat(np.arange(len(classes)), counts)
        pixels = ImageFiles(tuple(paths), self.params.side, self.params.fit, left_out=finder.left_out)
        crop = 224 / 256
        views, names = Augmentation(crop, self.params.flip, crop), [entry.name for entry in classes]
        return ImageSet(pixels, labels, len(classes), views, names=names)

    def splits(self, images: ImageSet) -> Splits:
        """Class-balanced; see ``bench.data.splits``."""
        return class_balanced("image_folder", images.labels, images.classes, self.params, images.names)
