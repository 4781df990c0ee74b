"""EfficientNet-Lite2, pretrained on ImageNet; its weights come with pip.

timm's ``tf_efficientnet_lite2``: EfficientNet (arXiv 1905.11946) without squeeze-and-excitation.

    teacher: [efficientnet_lite2]
"""

from __future__ import annotations

from bench.registry import TEACHERS
from models.families.efficientnet_lite import EfficientNetLite, lite_preprocessing


@TEACHERS.register
class EfficientNetLite2(EfficientNetLite):
    """1280-wide feature after global average pooling."""

    arch = "tf_efficientnet_lite2"
    preprocessing = lite_preprocessing(260)
