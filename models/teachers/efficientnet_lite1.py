"""EfficientNet-Lite1, pretrained on ImageNet: weights come with pip, no download of its own.

timm's ``tf_efficientnet_lite1`` (EfficientNet, arXiv 1905.11946, without squeeze-and-excitation and swish).

    teacher: [efficientnet_lite1]
"""

from __future__ import annotations

from bench.registry import TEACHERS
from models.efficientnet_lite import EfficientNetLite, preprocessing


@TEACHERS.register
class EfficientNetLite1(EfficientNetLite):
    """1280-wide feature after global average pooling; trained at 240 px."""

    arch = "tf_efficientnet_lite1"
    number = 1
    preprocessing = preprocessing(240)
