"""Results for the gate to judge."""

from __future__ import annotations

from pathlib import Path

from bench.results.folder import Results
from bench.results.records import Failure, Measured, Record
from tests.recorded import cost, make_record

MAP = "map@all:expected:relevant"
HOSTILE = "<img src=x onerror=alert(1)> | \"&' ]]> `code` @team #1"


#: Spread over seeds of the grid that the project gates itself with.
SPREAD = 0.005


def score(value: float, interval: tuple[float, float] | None = None) -> Measured:
    return Measured(value=value, unit="", higher_is_better=True, noise="seeded", interval=interval)


def cell(value: float, seed: int = 0, loss: str = "csq", **more) -> Record:
    metrics = {MAP: score(value), "params": cost(1000, "parameters"), "macs": cost(2e6, "MACs")}
    return make_record(loss=loss, seed=seed, metrics=metrics | more.pop("metrics", {}), **more)


def results(found: list[Record], folder: Path = Path("new"), name: str = "grid") -> Results:
    stems = {record.key: f"cell-{i:012x}" for i, record in enumerate(found)}
    return Results(folder, name, [("map", "macs")], found, [], {}, stems)


def runs(rng, seeds: int, shift: float = 0.0, losses=("csq", "dch", "dpn", "dtsh")) -> list[Record]:
    """What training anew gives, with other noise and the same seeds."""
    return [cell(0.97 + rng.normal(0, SPREAD) + shift * (loss == losses[0]), seed, loss)
            for loss in losses for seed in range(seeds)]  # fmt: skip


def failed(loss: str, seed: int = 0) -> Record:
    error = Failure(type="RuntimeError", stage="finetune", message=HOSTILE)
    return make_record(loss=loss, seed=seed, status="failed", error=error)
