"""Revisited Paris: 70 pictures of Paris landmarks, looked for among 6,322 others.

F. Radenovic et al., "Revisiting Oxford and Paris: Large-Scale Image Retrieval Benchmarking", CVPR 2018.
Evaluation only, unless ``train_folder`` names images to train on. See ``bench.data.revisited_files``.

    dataset: [{name: rparis6k, params: {side: 512, train_folder: landmarks}}]
"""

from __future__ import annotations

from typing import ClassVar

from bench.data.revisited_files import RevisitedDataset, RevisitedParams
from bench.registry import DATASETS


@DATASETS.register
class RParis6k(RevisitedDataset):
    """``rparis6k/gnd_rparis6k.pkl`` and ``rparis6k/jpg``."""

    version = 1
    name = "rparis6k"
    #: Approximate, for plans: what counts is the ground truth that is found.
    published: ClassVar[dict[str, int]] = {"query": 70, "database": 6322}
    source = "https://www.robots.ox.ac.uk/~vgg/data/parisbuildings/"

    class Params(RevisitedParams):
        """See ``RevisitedParams``."""
