"""Revisited Oxford: 70 pictures of Oxford landmarks, looked for among 4,993 others.

F. Radenovic et al., "Revisiting Oxford and Paris: Large-Scale Image Retrieval Benchmarking", CVPR 2018.
Evaluation only, unless ``train_folder`` names images to train on; ``distractors`` join the database. See
``bench.data.revisited_files``.

    dataset: [{name: roxford5k, params: {side: 512, train_folder: landmarks}}]
    dataset: [{name: roxford5k, params: {distractors: revisitop1m/revisitop1m.txt}}]
"""

from __future__ import annotations

from typing import ClassVar

from bench.data.revisited_files import RevisitedDataset, RevisitedParams
from bench.registry import DATASETS


@DATASETS.register
class ROxford5k(RevisitedDataset):
    """``roxford5k/gnd_roxford5k.pkl`` and ``roxford5k/jpg``."""

    version = 1
    name = "roxford5k"
    #: Approximate, for plans: what counts is the ground truth that is found.
    published: ClassVar[dict[str, int]] = {"query": 70, "database": 4993}
    source = "https://www.robots.ox.ac.uk/~vgg/data/oxbuildings/"

    class Params(RevisitedParams):
        """See ``RevisitedParams``."""
