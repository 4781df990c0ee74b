"""NUS-WIDE-m with its 21 most frequent concepts: the release of HashNet, several labels an image.

T.-S. Chua et al., "NUS-WIDE: A Real-World Web Image Database from National University of Singapore", 2009;
Z. Cao et al., "HashNet: Deep Learning to Hash by Continuation", ICCV 2017. The lists name images of a release
of 223,496, and are others than those of ``nuswide_21``: their queries have 2.9 labels on average, not 3.3, so
that scores on the two sets do not compare. 2,100 queries; the training images lie in the database.

    dataset: [nuswide_21m]
"""

from __future__ import annotations

from pydantic import Field

from bench.data.image_lists import ListDataset, ListFiles
from bench.data.unseen import SeveralLabels
from bench.registry import DATASETS


@DATASETS.register
class NusWide21m(ListDataset):
    """21 concepts in the images of HashNet; mAP@5000 by convention."""

    version = 1
    default_k = 5000
    name = "nuswide_21m"
    classes = 21
    published = (2_100, 10_500, None)
    source = "NUS-WIDE-m, 223,496 images, named at https://github.com/thuml/HashNet/tree/master/pytorch"

    class Params(ListFiles, SeveralLabels):
        """Where lists and images are."""

        lists: str = Field("nuswide_21m", description="folder of the list files, relative to the data root")
        images: str = Field("nuswide_21m", description="folder that the listed paths start from, likewise")
