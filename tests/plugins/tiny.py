"""Plug-ins for tests: a teacher and a student that run in milliseconds."""

from __future__ import annotations

from bench.registry import STUDENTS, TEACHERS
from bench.types import Parameters, Preprocessing


class _Tiny:
    version = 1
    preprocessing = Preprocessing(image_size=16)
    width: int

    class Params(Parameters):
        """Nothing to set."""

    def __init__(self, params):
        self.params = params

    def weights_id(self):
        return "none"

    def feature_dim(self, image_size):
        return self.width

    def build(self):
        from torch import nn

        return nn.Sequential(
            nn.Conv2d(3, self.width, 5, stride=4),
            nn.BatchNorm2d(self.width),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


@TEACHERS.register_as("tiny_teacher")
class TinyTeacher(_Tiny):
    width = 24


@STUDENTS.register_as("tiny_student")
class TinyStudent(_Tiny):
    width = 12
