"""EfficientNet-Lite1, pretrained on ImageNet; its weights come with pip.

timm's ``tf_efficientnet_lite1``: EfficientNet (arXiv 1905.11946) without squeeze-and-excitation.

    teacher: [efficientnet_lite1]
"""

from __future__ import annotations

from bench.registry import TEACHERS
from models.families.efficientnet_lite import EfficientNetLite, lite_preprocessing


@TEACHERS.register
class EfficientNetLite1(EfficientNetLite):
    """1280-wide feature after global average pooling."""

    arch = "tf_efficientnet_lite1"
    preprocessing = lite_preprocessing(240)
