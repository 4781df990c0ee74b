"""Workers of a cluster in words and in JSON: which would be asked for, and which were."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tabulate import tabulate

from bench.execution.progress import human_seconds
from bench.results.folder import ResultsFolder
from bench.storage.store import default_root

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.execution.cluster_plan import Expected
    from bench.execution.run import Outcome

#: Columns of the list of workers.
HEADS = ("workers", "how many", "each", "stages to make", "work", "done after", "worker-hours", "GPU-hours")


def cluster_summary(workers: Sequence[Expected]) -> dict[str, Any]:
    """Plain JSON values; seconds as far as they are known."""
    rows = [
        {
            "workers": one.name,
            "count": one.count,
            "each": one.worker.described(),
            "shares": sorted(one.shares),
            "stages": one.stages,
            "unknown": one.unknown,
            "seconds": round(one.seconds, 1),
            "until": round(one.until, 1),
            "worker_hours": round(one.hours, 3),
            "gpu_hours": round(one.gpu_hours, 3),
        }
        for one in workers
    ]
    return {
        "jobs": rows,
        "seconds": round(max(one.until for one in workers), 1),
        "worker_hours": round(sum(one.hours for one in workers), 3),
        "gpu_hours": round(sum(one.gpu_hours for one in workers), 3),
    }


def cluster_text(summary: dict[str, Any]) -> str:
    """The same for people."""
    rows = [
        [
            row["workers"],
            row["count"] or "-",
            row["each"],
            f"{row['stages']} of {', '.join(row['shares'])}" if row["stages"] else "-",
            *(_hours(row) if row["stages"] else "----"),
        ]
        for row in summary["jobs"]
    ]
    if not any(row["count"] for row in summary["jobs"]):
        return "On the cluster: nothing to ask for, every cell has a record"
    totals = f"{summary['worker_hours']:.2f} worker-hours, {summary['gpu_hours']:.2f} GPU-hours"
    closing = f"On the cluster, without waiting in its queue: {human_seconds(summary['seconds'])}, {totals}"
    if unknown := sum(row["unknown"] for row in summary["jobs"]):
        others = f"{unknown} stages of kinds that have not run anywhere yet"
        known = unknown < sum(row["stages"] for row in summary["jobs"])
        closing = f"{closing}, and {others}" if known else f"On the cluster: time not known for {others}"
    table = tabulate(rows, HEADS, floatfmt=".2f")
    return f"{table}\n\n{closing}"


def _hours(row: dict[str, Any]) -> list[str | float]:
    """What is known of the time of a kind of workers."""
    if row["unknown"] == row["stages"]:
        return ["not known"] * 4
    seconds = [human_seconds(row[name]) for name in ("seconds", "until")]
    return [*seconds, row["worker_hours"], row["gpu_hours"]]


def submitted(outcome: Outcome) -> str:
    """Which workers there are now, and how to look after them."""
    folder, ids = ResultsFolder(outcome.out).jobs, ",".join(jobs.id for jobs in outcome.jobs)
    new = {jobs.id for jobs in outcome.submitted}
    done = f"{outcome.present} of {len(outcome.plan.selected)} cells ok in {outcome.out}"
    lines = [f"submitted: {jobs}" for jobs in outcome.submitted]
    lines += [f"queued or at work already: {jobs}" for jobs in outcome.jobs if jobs.id not in new]
    return "\n".join(
        [
            *lines,
            f"{done}; logs: {folder}; cache: {default_root()}",
            f"to look: squeue --jobs {ids}; or the same command again, which asks for what is missing then "
            "and stays, with --wait, until all is done",
        ]
    )
