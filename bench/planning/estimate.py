"""What stages will cost, from what stages of the same class have cost on this machine's store."""

from __future__ import annotations

import shutil
import statistics
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from bench.planning.stage import Stage
from bench.storage.store import Store

#: Kind and class of stages that cost about the same per image, and whether they look at any.
_Group = tuple[str, str, bool]


@dataclass(frozen=True)
class Cost:
    """Expected seconds and bytes of one stage; None while no stage of its class has been run, or no data."""

    seconds: float | None
    bytes: float | None


def estimate(stages: Iterable[Stage], store: Store, hardware: str | None) -> dict[str, Cost]:
    """Stage key -> expected cost: the median per image of its class times its images.

    While its data are missing, the images of a stage are not known: what others took tells nothing of it.

    Args:
        hardware: fingerprint; seconds count where they were spent on the same processor with as many
            threads, bytes wherever they were written; None = all count.
    """
    seconds: dict[_Group, list[float]] = defaultdict(list)
    sizes: dict[_Group, list[float]] = defaultdict(list)
    for index in store.history():
        looked_at = int(index.get("images", 0))
        group, images = _group(index.get("kind"), index.get("cost_class"), looked_at), max(looked_at, 1)
        sizes[group].append(sum(file["bytes"] for file in index["files"].values()) / images)
        if hardware in {None, index.get("hardware")}:
            seconds[group].append(float(index["seconds"]) / images)

    def expected(known: dict[_Group, list[float]], stage: Stage) -> float | None:
        samples = known[_group(stage.kind, stage.cost_class, stage.images)]
        return statistics.median(samples) * max(stage.images, 1) if samples else None

    return {stage.key: Cost(expected(seconds, stage), expected(sizes, stage)) for stage in stages}


def room(costs: Iterable[Cost], store: Store) -> str | None:
    """What to say where the disk of ``store`` has no room for what is expected; None where it has."""
    place = store.root
    while not place.exists():
        place = place.parent
    wanted, free = sum(cost.bytes or 0 for cost in costs), shutil.disk_usage(place).free
    if wanted <= free:
        return None
    return (
        f"{store.root}: {free / 1e9:,.1f} GB are free, and about {wanted / 1e9:,.1f} GB are to come; make "
        "room, or set BENCH_CACHE to a folder on another disk"
    )


def _group(kind: object, cost_class: object, images: int) -> _Group:
    return str(kind), str(cost_class), images > 0
