"""Student v1 of CUKD: 3.3 million parameters, a 2048-wide feature at 224 px like that of ResNet-50.

"Context Unaware Knowledge Distillation for Image Retrieval", arXiv 2207.09070.

    student: [cukd_v1]
"""

from __future__ import annotations

from bench.registry import STUDENTS
from models.cukd import CukdStudent


@STUDENTS.register
class CukdV1(CukdStudent):
    """Last map of 128 channels; 1.09 GMACs at 224 px."""

    width = 128
