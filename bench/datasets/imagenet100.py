"""ImageNet with 100 classes, in the lists of HashNet: one class per image.

O. Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015; Z. Cao et al.,
"HashNet: Deep Learning to Hash by Continuation", ICCV 2017. The validation images are the queries,
the training images the database. The paper speaks of 100 training images per class, the list has 130.

    dataset: [imagenet100]
"""

from __future__ import annotations

from pydantic import Field

from bench.data.image_lists import ListDataset, ListFiles
from bench.data.unseen import UnseenClasses
from bench.registry import DATASETS


@DATASETS.register
class ImageNet100(ListDataset):
    """100 classes; mAP@1000 by convention."""

    version = 1
    default_k = 1000
    name = "imagenet100"
    classes = 100
    single_label = True
    published = (5_000, 13_000, None)
    source = (
        "ImageNet, the train and val images of ILSVRC 2012, about 145 GB, from https://image-net.org after "
        "registration"
    )

    class Params(ListFiles, UnseenClasses):
        """Where lists and images are."""

        lists: str = Field("imagenet100", description="folder of the list files, relative to the data root")
        images: str = Field("imagenet100", description="folder that the listed paths start from, likewise")
