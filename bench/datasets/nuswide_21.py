"""NUS-WIDE with its 21 most frequent concepts: 195,834 images from Flickr, several labels each.

T.-S. Chua et al., "NUS-WIDE: A Real-World Web Image Database from National University of Singapore", 2009.
Published lists: 2,100 queries and 10,500 training images; the database is all but the queries. The lists
were filled greedily, train first, so queries have more labels (3.3 on average) than training images (2.9).

    dataset: [nuswide_21]
"""

from __future__ import annotations

from pydantic import Field

from bench.data.image_lists import ListDataset, ListFiles
from bench.data.unseen import SeveralLabels
from bench.registry import DATASETS


@DATASETS.register
class NusWide21(ListDataset):
    """195,834 images of 21 concepts; mAP@5000 by convention."""

    version = 1
    default_k = 5000
    name = "nuswide_21"
    classes = 21
    published = (2_100, 10_500, 193_734)
    source = (
        "NUS-WIDE, 269,648 images, named at https://lms.comp.nus.edu.sg/wp-content/uploads/2019/"
        "research/nuswide/NUS-WIDE.html; the lists use 195,834 of them"
    )

    class Params(ListFiles, SeveralLabels):
        """Where lists and images are."""

        lists: str = Field("nuswide_21", description="folder of the list files, relative to the data root")
        images: str = Field("nuswide_21", description="folder that the listed paths start from, likewise")
