"""Plug-ins for tests: a teacher that counts what it is asked, and variants of the synthetic data set."""

from __future__ import annotations

import dataclasses

import numpy as np
from torch import nn

from bench.datasets.synthetic import Synthetic
from bench.registry import DATASETS, TEACHERS
from bench.types import Parameters, Preprocessing

#: Images by call; a list of its own for every command, which includes this file anew.
ASKED: list[int] = []


class _Counted(nn.Sequential):
    def forward(self, x):
        if x.device.type != "meta":  # there are no images where memory is estimated
            ASKED.append(len(x))
        return super().forward(x)


@TEACHERS.register_as("counted_teacher")
class CountedTeacher:
    version = 1
    preprocessing = Preprocessing(image_size=16)

    class Params(Parameters):
        """Nothing to set."""

    def __init__(self, params):
        self.params = params

    def weights_id(self):
        return "none"

    def feature_dim(self, image_size):
        return 24

    def build(self):
        return _Counted(nn.Conv2d(3, 24, 5, stride=4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@DATASETS.register_as("unlabelled")
class Unlabelled(Synthetic):
    """Labels judge the ranking, and training may not see them."""

    labelled = False


@DATASETS.register_as("relabelled")
class Relabelled(Synthetic):
    """The images and splits of the synthetic set with other labels."""

    def load(self, root):
        images = super().load(root)
        return dataclasses.replace(images, labels=np.random.default_rng(1).permutation(images.labels))
