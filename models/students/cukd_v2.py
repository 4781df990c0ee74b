"""Small network of CUKD (student v2): 4.8 million parameters, a feature as wide as AlexNet's at 224 px.

"Context Unaware Knowledge Distillation for Image Retrieval", arXiv 2207.09070.

    student: [cukd_v2]
"""

from __future__ import annotations

from bench.registry import STUDENTS
from models.families.cukd import CukdStudent


@STUDENTS.register
class CukdV2(CukdStudent):
    """Last map of 256 channels; 1.11 GMACs at 224 px, more than AlexNet's 0.71."""

    width = 256
