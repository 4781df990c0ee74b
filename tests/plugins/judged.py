"""Plug-ins for tests: the synthetic set as judges of another kind than labels see it."""

from __future__ import annotations

import dataclasses

import numpy as np

from bench.datasets.synthetic import Synthetic
from bench.registry import DATASETS
from bench.types import CameraTruth, RevisitedTruth


@DATASETS.register_as("cameras")
class Cameras(Synthetic):
    """Three cameras in turn."""

    judged_by = "cameras"

    def load(self, root):
        images = super().load(root)
        return dataclasses.replace(images, truth=CameraTruth(np.arange(len(images)) % 3))


@DATASETS.register_as("landmarks")
class Landmarks(Synthetic):
    """Of each class in the database a third is easy, hard and junk; every fourth query has junk alone."""

    judged_by = "revisited"

    def load(self, root):
        images = super().load(root)
        splits = self.splits(images)
        lists = {"easy": {}, "hard": {}, "junk": {}}
        for number, query in enumerate(splits.query.tolist()):
            same = splits.database[images.labels[splits.database] == images.labels[query]]
            for place, name in enumerate(lists):
                lists[name][query] = same[place::3] if number % 4 or name == "junk" else same[:0]
        return dataclasses.replace(images, truth=RevisitedTruth(**lists))
