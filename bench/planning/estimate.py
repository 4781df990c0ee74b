"""What stages will cost, from what stages of the same class have cost on this machine's store."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from bench.planning.stage import Stage
from bench.storage.store import Store

#: Kinds that look at images: where their number is 0, the data are missing and it is not known.
LOOKING = frozenset({"features", "distill", "finetune", "encode"})


@dataclass(frozen=True)
class Cost:
    """Expected seconds and bytes of one stage; None while no stage of its class has been run, or no data."""

    seconds: float | None
    bytes: float | None


def estimate(stages: Iterable[Stage], store: Store, hardware: str) -> dict[str, Cost]:
    """Stage key -> expected cost: the median per image of its class times its images.

    Args:
        hardware: fingerprint; seconds count where they were spent on the same processor with as many
            threads, bytes wherever they were written.
    """
    seconds: dict[tuple[str, str], list[float]] = defaultdict(list)
    sizes: dict[tuple[str, str], list[float]] = defaultdict(list)
    for index in store.history():
        group = (str(index.get("kind")), str(index.get("cost_class")))
        images = max(int(index.get("images", 0)), 1)
        sizes[group].append(sum(file["bytes"] for file in index["files"].values()) / images)
        if index.get("hardware") == hardware:
            seconds[group].append(float(index["seconds"]) / images)

    def expected(known: dict[tuple[str, str], list[float]], stage: Stage) -> float | None:
        samples = known[stage.kind, stage.cost_class]
        if not samples or (stage.kind in LOOKING and not stage.images):
            return None
        return statistics.median(samples) * max(stage.images, 1)

    return {stage.key: Cost(expected(seconds, stage), expected(sizes, stage)) for stage in stages}
