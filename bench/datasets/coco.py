"""MS COCO 2014 in the lists of HashNet: photographs of 80 kinds of objects, several each.

T.-Y. Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014; Z. Cao et al., "HashNet: Deep
Learning to Hash by Continuation", ICCV 2017. Training and validation images that show any of the objects are
pooled; 5,000 are queries, the rest is the database, and 10,000 of it are for training.

    dataset: [coco]
"""

from __future__ import annotations

from pydantic import Field

from bench.data.image_lists import ListDataset, ListFiles
from bench.data.unseen import SeveralLabels
from bench.registry import DATASETS


@DATASETS.register
class Coco(ListDataset):
    """80 kinds of objects; mAP@5000 by convention."""

    version = 1
    default_k = 5000
    name = "coco"
    classes = 80
    published = (5_000, 10_000, None)
    source = "MS COCO, the train and val images of 2014, about 19 GB, from https://cocodataset.org"

    class Params(ListFiles, SeveralLabels):
        """Where lists and images are."""

        lists: str = Field("coco", description="folder of the list files, relative to the data root")
        images: str = Field("coco", description="folder that the listed paths start from, likewise")
