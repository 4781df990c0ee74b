"""Small network of CUKD (student v1): 3.3 million parameters, a feature as wide as ResNet-50's at 224 px.

"Context Unaware Knowledge Distillation for Image Retrieval", arXiv 2207.09070.

    student: [cukd_v1]
"""

from __future__ import annotations

from bench.registry import STUDENTS
from models.families.cukd import CukdStudent


@STUDENTS.register
class CukdV1(CukdStudent):
    """Last map of 128 channels; 1.09 GMACs at 224 px."""

    width = 128
