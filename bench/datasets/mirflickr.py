"""MIRFLICKR-25000: 25,000 images from Flickr with 38 annotations, several or none each.

M. J. Huiskes and M. S. Lew, "The MIR Flickr Retrieval Evaluation", MIR 2008. Published lists: 1,000 queries
and 4,000 training images, both outside the database of 20,000. 19 queries have no label: nothing is relevant
to them, they count as AP 0, and no mAP can exceed 0.981.

    dataset: [mirflickr]
"""

from __future__ import annotations

from pydantic import Field

from bench.data.image_lists import ListDataset, ListFiles
from bench.data.unseen import SeveralLabels
from bench.registry import DATASETS


@DATASETS.register
class MirFlickr(ListDataset):
    """38 annotations; mAP over the whole database by convention."""

    version = 1
    default_k = None
    name = "mirflickr"
    classes = 38
    published = (1_000, 4_000, 20_000)
    source = "MIRFLICKR-25000, about 3 GB, from https://press.liacs.nl/mirflickr/"

    class Params(ListFiles, SeveralLabels):
        """Where lists and images are."""

        lists: str = Field("mirflickr", description="folder of the list files, relative to the data root")
        images: str = Field("mirflickr", description="folder that the listed paths start from, likewise")
