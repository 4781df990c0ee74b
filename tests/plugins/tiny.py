"""Plug-ins for tests: a teacher and a student that run in milliseconds."""

from __future__ import annotations

from bench.registry import STUDENTS, TEACHERS
from bench.types import Parameters, Preprocessing
from models.network import BaseNetwork, NetworkParams


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

    def build_classifier(self):
        from torch import nn

        return nn.Sequential(self.build(), nn.Linear(self.width, 10))


@TEACHERS.register_as("tiny_residual")
class TinyResidual(_Tiny):
    """Two residual blocks, which can be pruned."""

    width = 16

    def build(self):
        from torch import nn

        from models.layers.blocks import BasicBlock

        return nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=4),
            BasicBlock(8, 8),
            BasicBlock(8, self.width, stride=2),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


@STUDENTS.register_as("tiny_student")
class TinyStudent(_Tiny):
    width = 12


@STUDENTS.register_as("tiny_dropping")
class TinyDropping(_Tiny):
    """Draws random numbers while it trains."""

    width = 12

    def build(self):
        from torch import nn

        return nn.Sequential(*super().build(), nn.Dropout(0.2))


@STUDENTS.register_as("tiny_tied")
class TinyTied(BaseNetwork):
    """One layer that is passed twice, and two that share their weight and not their bias."""

    preprocessing = Preprocessing(image_size=16)

    class Params(NetworkParams):
        """Random weights, or those of a file."""

        weights: str = "none"

    def feature_dim(self, image_size):
        return 8

    def make(self):
        from torch import nn

        twice, left, right = (nn.Conv2d(8, 8, 3, padding=1) for _ in range(3))
        right.weight = left.weight
        return nn.Sequential(
            nn.Conv2d(3, 8, 5, stride=4),
            nn.ReLU(),
            twice,
            nn.ReLU(),
            twice,
            nn.BatchNorm2d(8),
            nn.Sequential(left, nn.ReLU(), right),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 5),
        )

    def strip(self, net):
        del net[-1]


@STUDENTS.register_as("tiny.student_a")
class TinyStudentA(_Tiny):
    width = 8


@STUDENTS.register_as("tiny.student_b")
class TinyStudentB(_Tiny):
    width = 10
