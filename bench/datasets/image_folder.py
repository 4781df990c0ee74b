"""Images of your own: a folder with one subfolder per class, in the class-balanced protocol.

Every class gives the same number of query and training images, drawn from the split seed; the database is
all but the queries. Photos are seen as viewers show them: turned as their EXIF orientation says, on white
where they are transparent. ``min_per_class: 130`` keeps classes with fewer images in the database only, as
pictures that answer no query; without it, a class too small for the quotas is an error that names it.

    dataset: [{name: image_folder, params: {folder: flowers, query_per_class: 20, train_per_class: 100}}]

``python -m bench data prepare image_folder --set folder=flowers`` says whether it fits.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from pydantic import Field

from bench.data.finding import Finder, below
from bench.data.fitting import Fit
from bench.data.image_files import ImageFiles
from bench.data.skipping import FileImages, readable
from bench.data.splits import ClassBalanced, class_balanced, small_classes_last
from bench.errors import DataError, MissingDataError
from bench.interfaces import Dataset
from bench.registry import DATASETS
from bench.types import Augmentation, ImageSet, Side, Splits


@DATASETS.register
class ImageFolder(Dataset):
    """Class names are the names of the subfolders, in alphabetical order."""

    version = 2
    default_k = None

    class Params(ClassBalanced, FileImages):
        """Where the images are, how they are brought to one size, and the protocol's quotas."""

        folder: str = Field("images", description="relative to the data root; one subfolder per class")
        side: Side = Field(256, description="pixels; training sees random crops of 7/8 of it")
        fit: Fit = Field("crop", description="crop: centre square; pad: grey bars; squash: change the shape")
        flip: bool = Field(True, description="false where a mirror image means something else")
        min_per_class: int | None = Field(
            None,
            ge=1,
            description="classes with fewer images are in the database only and answer no query; null = a "
            "class too small for the quotas is an error",
        )

    def prepare(self, root: Path) -> str:
        """Count what is there; nothing can be downloaded."""
        images = self.load(root)
        where = below(root, self.params.folder)
        few = len(images.names) - images.classes
        also = f" and {few} with fewer than {self.params.min_per_class}" if few else ""
        return f"image_folder: {len(images):,} images in {images.classes} classes{also} in {where}"

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
            if not found and not self.params.min_per_class:
                raise DataError(f"image_folder: no images in {entry}; put some there or delete the folder")
            paths += found
            counts.append(len(found))
        p, crop = self.params, 224 / 256
        pixels = ImageFiles(
            tuple(paths), p.side, p.fit, left_out=finder.left_out, upright=True, unreadable=p.unreadable
        )
        labels, names = np.repeat(np.arange(len(classes)), counts), [entry.name for entry in classes]
        images = ImageSet(pixels, labels, len(classes), Augmentation(crop, p.flip, crop), names=names)
        return small_classes_last(readable(images), p.min_per_class or 0)

    def splits(self, images: ImageSet) -> Splits:
        """Class-balanced; see ``bench.data.splits``."""
        cure = "lower them, or set min_per_class to have such classes in the database only"
        return class_balanced(
            "image_folder", images.labels, images.classes, self.params, images.names, cure=cure
        )
