"""Whether a bundle makes the codes that the cell was judged by, and answers queries as well."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from bench import environment, timing
from bench.comparison.statistics import paired_differences
from bench.data.fitting import fitted
from bench.deployment.encoder import Encoder
from bench.deployment.student import Student
from bench.errors import CellError, UsageError
from bench.hamming import pack_signs
from bench.registry import DATASETS, METRICS
from bench.results import catalogue
from bench.results.records import Record
from bench.training import views
from bench.types import RankingRule, Retrieval

log = logging.getLogger(__name__)

#: Between two lines that say how far it is.
TELL_SECONDS = 10.0
#: Pieces that are cut from every photo, and their least side in pixels.
PIECES, LEAST_SIDE = 32, 48
#: How far the same mean may be from itself on another machine.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Tolerance:
    """How far a bundle may be from its cell.

    Attributes:
        bits: share of the bits of codes that may differ, of the data and of photos alike; for embeddings,
            how far two of the same image may be apart, as 1 - cosine.
        accuracy: how far the accuracy may be from the cell's.
    """

    bits: float
    accuracy: float


#: Of float32 in another runtime, of a cell that was judged in bfloat16, and of int8.
TOLERANCES = {
    "fp32": Tolerance(bits=0.001, accuracy=0.005),
    "bf16": Tolerance(bits=0.02, accuracy=0.02),
    "int8": Tolerance(bits=0.1, accuracy=0.02),
}


@dataclass(frozen=True)
class Agreement:
    """What a bundle's codes have in common with those of the suite.

    Attributes:
        queries, database: images that were encoded.
        sampled: whether these are a part of the cell's.
        bits_changed: share of the bits that differ; of embeddings the mean of 1 - cosine.
        codes_changed: share of the images of which any bit differs.
        photos: pieces of photos of many sizes that were resized by the graph.
        photo_bits_changed: the same as ``bits_changed`` of them.
        accuracy: name of the metric that cells are judged by.
        suite, bundle: its value by the codes of either.
        difference: of the two.
        interval: of the difference, over queries, 95 %; None where every query has the same.
        latency_ms: median for one image of the data set's size in ONNX Runtime.
        threads, cpu: where that was measured.
        tolerance: what was allowed.
    """

    queries: int
    database: int
    sampled: bool
    bits_changed: float
    codes_changed: float
    photos: int
    photo_bits_changed: float
    accuracy: str
    suite: float
    bundle: float
    difference: float
    interval: tuple[float, float] | None
    latency_ms: float
    threads: int
    cpu: str
    tolerance: Tolerance

    def to_json(self) -> dict[str, Any]:
        """What ``bundle.json`` holds."""
        return asdict(self)

    def require(self) -> None:
        """Raise CellError if the bundle is further from the cell than it may be."""
        limit = self.tolerance
        found = {"the cell's images": self.bits_changed, "photos": self.photo_bits_changed}
        faults = [
            f"{share:.3%} of what it makes of {what} differs, and {limit.bits:.3%} may"
            for what, share in found.items()
            if not share <= limit.bits
        ]
        if not abs(self.difference) <= limit.accuracy:
            faults.append(
                f"{self.accuracy} is {self.bundle:.4f}, not {self.suite:.4f}, and {limit.accuracy:g} may be "
                "between"
            )
        if faults:
            raise CellError(f"no bundle: {'; '.join(faults)}")


def prove(
    student: Student, record: Record, encoder: Encoder, tolerance: Tolerance, sample: int | None
) -> Agreement:
    """Encode the cell's queries and database, and photos, and compare with the suite.

    Args:
        record: of the cell.
        encoder: the bundle at work; what is timed is this, on all threads that it has.
        sample: images of queries and of database to encode at most; None = all.

    Raises:
        CellError: the record has no accuracy that its codes could be judged by, or another one than theirs.
        UsageError: nothing in the sample is relevant to any query of it.
        DataError: an image cannot be read.
    """
    chosen = {part: _chosen(len(codes), sample) for part, codes in student.codes.items()}
    suite = {part: student.codes[part][places] for part, places in chosen.items()}
    bundle = {part: _encoded(student, encoder, part, places) for part, places in chosen.items()}
    apart = np.concatenate([_apart(suite[part], bundle[part], student.bits) for part in suite])
    pieces = list(_pieces())
    own = np.concatenate([_in_suite(student, piece) for piece in pieces])
    resized = np.concatenate([_vectors(encoder, piece[None]) for piece in pieces])
    name = record.accuracy
    before, after = (_scores(student, record, chosen, vectors) for vectors in (suite, bundle))
    sampled = any(len(places) < len(student.codes[part]) for part, places in chosen.items())
    if not sampled:
        _check_record(record, float(before.mean()))
    elif not (before.any() or after.any()):
        raise UsageError(f"--sample {sample}: holds nothing that its queries could find; take more images")
    (difference,) = paired_differences([(after - before)[None]])
    return Agreement(
        queries=len(bundle["query"]),
        database=len(bundle["database"]),
        sampled=sampled,
        bits_changed=float(apart.mean()),
        codes_changed=float((apart > 0).mean()),
        photos=len(pieces),
        photo_bits_changed=float(_apart(own, resized, student.bits).mean()),
        accuracy=str(name),
        suite=float(before.mean()),
        bundle=float(after.mean()),
        difference=difference.mean,
        interval=difference.interval,
        latency_ms=1e3 * _latency(encoder).median,
        threads=encoder.threads,
        cpu=environment.cpu_model(),
        tolerance=tolerance,
    )


def _chosen(count: int, most: int | None) -> NDArray[np.int64]:
    """Places among ``count`` images, all or so many evenly spread, as labels may be in order."""
    if most is None or most >= count:
        return np.arange(count)
    return np.unique(np.linspace(0, count - 1, most).round().astype(np.int64))


def _encoded(student: Student, encoder: Encoder, part: str, places: NDArray[np.int64]) -> NDArray[Any]:
    """Codes or embeddings of some images of ``query`` or ``database``; tells now and then how far it is."""
    found, done, told = [], 0, time.monotonic()
    for images in student.originals(student.places(part)[places]):
        found.append(_vectors(encoder, images))
        done += len(images)
        if time.monotonic() - told > TELL_SECONDS:
            told = time.monotonic()
            log.info("%s: %s of %s images encoded", part, f"{done:,}", f"{len(places):,}")
    return np.concatenate(found)


def _vectors(encoder: Encoder, images: NDArray[np.uint8]) -> NDArray[Any]:
    encoded = encoder(images)
    return encoded.outputs if encoded.codes is None else encoded.codes


def _apart(one: NDArray[Any], other: NDArray[Any], bits: int) -> NDArray[np.float64]:
    """How far two codes or embeddings of each image are apart, float64 (n,), see ``Agreement``."""
    if bits:
        return np.asarray(np.bitwise_count(one ^ other).sum(axis=1) / bits)
    return np.asarray(np.maximum(0.0, 1 - (one.astype(np.float64) * other).sum(axis=1)))


def _scores(
    student: Student, record: Record, chosen: dict[str, NDArray[np.int64]], vectors: dict[str, NDArray[Any]]
) -> NDArray[np.float64]:
    """The accuracy that the cell is judged by, of each query that counts."""
    accuracy, judge = record.accuracy or "", DATASETS.get(record.cell.dataset).judged_by
    places = {part: student.places(part)[chosen[part]] for part in chosen}
    labels = student.dataset.images.labels
    subject = Retrieval(
        query=vectors["query"],
        database=vectors["database"],
        query_labels=labels[places["query"]],
        database_labels=labels[places["database"]],
        bits=student.bits,
        protocol=_rule(record),
        query_index=places["query"],
        database_index=places["database"],
        truth=student.dataset.images.truth,
    )
    for name, params in record.params["measure"].items():
        if name not in catalogue.base_name(accuracy):
            continue  # a plug-in that judges something else may be gone
        plugin = METRICS.get(name)
        if plugin.subject == "codes" and plugin.judges == judge:
            found = plugin(plugin.Params.of(params)).compute(subject).per_query
            if accuracy in found:
                # Some protocols leave out queries with nothing to find, whose scores are NaN.
                return found[accuracy][~np.isnan(found[accuracy])]
    raise CellError(
        f"{record.key[:12]}: the record has no accuracy by query, which a bundle could be judged by"
    )


def _rule(record: Record) -> RankingRule:
    """How mAP is taken; judges of another kind have rules of their own."""
    protocol = record.cell.protocol
    rule = {name: protocol[name] for name in ("k", "ties", "normalizer") if name in protocol}
    return RankingRule(**{**rule, "k": None if rule.get("k") == "all" else rule.get("k")})


def _check_record(record: Record, found: float) -> None:
    """The card repeats what the record says: that must be of these codes."""
    said = record.metrics[str(record.accuracy)].value
    if not abs(said - found) <= ROUNDING:
        raise CellError(
            f"no bundle: the record says that {record.accuracy} is {said:.4f}, and by its codes it is "
            f"{found:.4f}; run the cell again, or copy the record again from where it was run"
        )


def _pieces() -> Iterator[NDArray[np.uint8]]:
    """Photos of many sizes and shapes: uint8 (h, w, 3), the same at every call."""
    from sklearn.datasets import load_sample_images

    generator = np.random.default_rng(0)
    for photo in load_sample_images().images:
        yield photo
        for _ in range(PIECES):
            height, width = (int(generator.integers(LEAST_SIDE, most + 1)) for most in photo.shape[:2])
            top, left = (
                int(generator.integers(most - size + 1))
                for most, size in zip(photo.shape, (height, width), strict=False)
            )
            yield np.ascontiguousarray(photo[top : top + height, left : left + width])


def _in_suite(student: Student, image: NDArray[np.uint8]) -> NDArray[Any]:
    """The code or embedding of one photo, had it been in the data set: PIL resizes it, and torch answers."""
    images = student.dataset.images
    channels, height, width = images.pixels.shape[1:]
    picture = fitted(Image.fromarray(image), height, width, student.fit)
    pixels = np.array(picture.convert("L" if channels == 1 else "RGB"), np.uint8).reshape(
        height, width, channels
    )
    crop = views.centre_crops(images)[:1]
    seen = views.render(
        torch.from_numpy(pixels.transpose(2, 0, 1)[None].copy()),
        crop,
        student.preprocessing,
        student.image_size,
    )
    with torch.no_grad():
        outputs = student.net(seen)
    return (
        pack_signs(outputs.numpy()) if student.bits else torch.nn.functional.normalize(outputs, dim=1).numpy()
    )


def _latency(encoder: Encoder) -> timing.Timing:
    steps = encoder.bundle.preprocessing
    image = np.random.default_rng(0).integers(0, 256, (1, steps.height, steps.width, 3), dtype=np.uint8)
    return timing.measure(lambda: encoder(image), samples=30, warmup_seconds=2.0, budget_seconds=5.0)
