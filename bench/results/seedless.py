"""Cells that are the same with every seed: codes of a network that nobody trains, by what draws nothing.

A grid has them once, however many seeds it names, and one cell is all that there is to know of them.
"""

from __future__ import annotations

from bench.results.records import Record

#: Stages that a seed draws for, and one that every cell has whose stages are known.
_TRAINED, _ALWAYS = {"distill", "finetune"}, "encode"
#: The stage that fits codes without training; its summary says under ``DRAWS`` if it draws nothing.
FIT, DRAWS = "fit", "draws"


def seedless(record: Record) -> bool:
    """Whether no other seed would have made anything else of a finished cell; False where nobody knows."""
    if record.status != "ok" or _ALWAYS not in record.stages or _TRAINED & record.stages.keys():
        return False
    if FIT in record.stages and record.stages[FIT].summary.get(DRAWS) is not False:
        return False
    student = record.params.get("student")
    # Without weights that somebody published, the seed draws them.
    return isinstance(student, dict) and student.get("weights", "none") != "none"
