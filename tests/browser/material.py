"""A results folder with everything that a report can show, and names that try to break it."""

from __future__ import annotations

import io
import itertools
import math
from pathlib import Path

from PIL import Image, ImageDraw

from bench.results import records
from bench.results.folder import Results, load_results, save_index
from bench.results.records import Example, Examples, Failure, Measured, Record, StageInfo
from tests.recorded import make_record
from tests.report.charts import tradeoff

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    '"quoted\' name" </script><script>alert(2)</script>',
    "{{7*7}} {% raw %}",
    r"$\frac{1}{2}$ %{x} <b>bold</b> <a href='javascript:alert(3)'>link</a>",
    "&lt;b&gt; \u2028\u2029 \ud800 é 中 \x1b[31m",
]
PAIRS = [("map", "macs"), ("map", "latency_ms"), ("map", "params")]
_QUERIES, _SHOWN, _TILE = 4, 10, 28


def write(folder: Path, some: list[Record], missing: tuple[str, ...] = ()) -> Results:
    """Write records with examples and logs as ``run`` would leave them."""
    cells = {record.cell_key: f"cell-{i}" for i, record in enumerate(some)}
    cells |= {f"missing-{slug}": slug for slug in missing}
    save_index(folder, "synthetic", PAIRS, cells)
    for i, record in enumerate(some):
        stem = f"{i:03d}-{record.status}"
        records.save(record, folder / "records" / f"{stem}.json")
        log = folder / "logs" / f"{stem}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text("".join(f"12:00:{line % 60:02d} INFO epoch {line} <b>&amp;\n" for line in range(230)))
        if record.status == "ok" and record.environment["precision"] == "fp32":
            examples, sprite = pictures(i)
            kept = folder / "examples" / f"{stem}.json"
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(examples.model_dump_json())
            kept.with_suffix(".webp").write_bytes(sprite)
    return load_results(folder)


def everything() -> list[Record]:
    """Two groups, three seeds, histories, curves, an unsteady timing, failed and skipped cells."""
    product = itertools.product(["none", "cukd", "ranking"], ["csq", "dch"], [16, 32], range(3))
    points = [("cukd_v1", *point) for point in product]
    points += [("cukd_v2", "cukd", "csq", bits, seed) for bits in (16, 32) for seed in range(3)]
    points += [("efficientnet_lite0", "none", "csq", 32, seed) for seed in range(3)]
    failure = Failure(type="RuntimeError", stage="finetune", message="loss is not finite\nat step 12")
    later = Failure(type="CellError", stage="distill", message="needs features, which failed")
    return [
        *(rich(make_record(*point)) for point in points),
        rich(make_record(environment={"precision": "bf16"})),
        make_record(bits=64, status="failed", error=failure),
        make_record("cukd_v2", loss="dch", status="skipped", error=later),
    ]


def one_seed() -> list[Record]:
    """One student by nine methods with two losses, each with a single seed."""
    methods = ["none", "cukd", "logits", "rkd", "ranking", "retrieval", "supcon", "whiten_mtd", "mine"]
    some = [make_record(method=method, loss=loss) for method in methods for loss in ("csq", "dch")]
    return [
        one.model_copy(
            update={"metrics": one.metrics | {"precision_at_k@10": one.metrics["map@all:expected:relevant"]}}
        )
        for one in some
    ]


def decades() -> list[Record]:
    """Two students that cost more than ten times as much as each other."""
    records = [make_record("cukd_v1", seed=seed) for seed in range(3)]
    metrics = [
        {**one.metrics, "macs": one.metrics["macs"].model_copy(update={"value": 4e6})} for one in records
    ]
    cheap = [
        one.model_copy(update={"metrics": changed, "cell": one.cell.model_copy(update={"student": "small"})})
        for one, changed in zip(records, metrics, strict=True)
    ]
    return [*records, *cheap]


def seedless() -> list[Record]:
    """A student of three seeds, and two that cost more and find less, with one: no seed changes the first."""
    better = [make_record(loss="dch", bits=64, seed=seed) for seed in range(3)]
    pretrained = make_record("cukd_v2", "none", "sign", params={"student": {"weights": "sha256:1"}})
    alone = {"encode": StageInfo(key="encode", seconds=1.0, cached=True)}
    return [*better, pretrained.model_copy(update={"stages": alone}), make_record("cukd_v2", "none")]


def crossed() -> list[Record]:
    """92 rows: seven students, none and a method with two teachers, two losses, two lengths; two teachers."""
    return tradeoff(seeds=1)


def hostile() -> list[Record]:
    """Finished and failed cells whose every name is an attack."""
    finished = [rich(make_record(name, name, name, 16 + 16 * i)) for i, name in enumerate(HOSTILE)]
    failures = [
        make_record(name, name, status="failed", error=Failure(type=name, stage=name, message=name))
        for name in HOSTILE
    ]
    return [rich(make_record(loss="dch")), *finished, *failures]


def rich(record: Record) -> Record:
    """The same with training histories, precision-recall curves and an unsteady timing."""
    metrics = dict(record.metrics)
    if record.cell.bits == 16:
        timing = metrics["latency_ms@1"]
        metrics["latency_ms@1"] = timing.model_copy(update={"detail": timing.detail | {"noisy": True}})
    metrics |= {"pr_curve:radius": _curve("radius", 33), "pr_curve:rank": _curve("rank", 50)}
    stages = {
        name: StageInfo(key=name, seconds=12.5, cached=name == "distill", history=_history(20, terms))
        for name, terms in {
            "distill": [f"features{HOSTILE[0]}", "relations"],
            "finetune": ["center", "quantization", "pairs"],
        }.items()
    }
    return record.model_copy(update={"metrics": metrics, "stages": stages})


def pictures(seed: int) -> tuple[Examples, bytes]:
    """Numbers on coloured tiles, and what they answer."""
    sprite = Image.new("RGB", ((1 + _SHOWN) * _TILE, _QUERIES * _TILE))
    draw = ImageDraw.Draw(sprite)
    rows = []
    for row in range(_QUERIES):
        right = [True if i < 6 else False if i < 9 else None for i in range(_SHOWN)]
        rows.append(Example(query=row, results=list(range(_SHOWN)), distances=[0.0] * _SHOWN, right=right))
        for column in range(1 + _SHOWN):
            corner = column * _TILE, row * _TILE
            shade = (37 * (seed + column) % 200, 60 * row % 200, 90)
            draw.rectangle((*corner, corner[0] + _TILE - 1, corner[1] + _TILE - 1), fill=shade)
            draw.text((corner[0] + 6, corner[1] + 8), str(column), fill="white")
    buffer = io.BytesIO()
    sprite.save(buffer, "webp")
    return Examples(tile=_TILE, rows=rows), buffer.getvalue()


def _curve(along: str, points: int) -> Measured:
    recall = [(i + 1) / points for i in range(points)]
    detail = {along: list(range(points)), "recall": recall, "precision": [1 - 0.9 * r * r for r in recall]}
    if along == "rank":
        for ties, shift in (("best", 0.05), ("worst", -0.08)):
            detail[f"recall_{ties}_ties"] = recall
            detail[f"precision_{ties}_ties"] = [max(0.0, min(1.0, p + shift)) for p in detail["precision"]]
    return Measured(value=0.7, unit="", higher_is_better=True, noise="seeded", detail=detail)


def _history(epochs: int, terms: list[str]) -> list[dict[str, float]]:
    history = []
    for epoch in range(epochs):
        now = {term: (i + 1) * math.exp(-epoch / 6) for i, term in enumerate(terms)}
        now["lr"] = 0.001 * (1 + math.cos(math.pi * epoch / epochs))
        if epoch % 5 == 4:
            now["val_map"] = 0.6 + 0.01 * epoch
        history.append(now)
    return history
