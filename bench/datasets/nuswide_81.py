"""NUS-WIDE with all 81 concepts, in the lists of HashNet: images from Flickr, several labels each.

T.-S. Chua et al., "NUS-WIDE: A Real-World Web Image Database from National University of Singapore", 2009;
Z. Cao et al., "HashNet: Deep Learning to Hash by Continuation", ICCV 2017. 5,000 queries; the training images
lie in the database.

    dataset: [nuswide_81]
"""

from __future__ import annotations

from pydantic import Field

from bench.data.image_lists import ListDataset, ListFiles
from bench.data.unseen import SeveralLabels
from bench.registry import DATASETS


@DATASETS.register
class NusWide81(ListDataset):
    """81 concepts; mAP@5000 by convention."""

    version = 1
    default_k = 5000
    name = "nuswide_81"
    classes = 81
    published = (5_000, 10_000, None)
    source = (
        "NUS-WIDE, 269,648 images, named at https://lms.comp.nus.edu.sg/wp-content/uploads/2019/"
        "research/nuswide/NUS-WIDE.html; the lists use fewer"
    )

    class Params(ListFiles, SeveralLabels):
        """Where lists and images are."""

        lists: str = Field("nuswide_81", description="folder of the list files, relative to the data root")
        images: str = Field("nuswide_81", description="folder that the listed paths start from, likewise")
