"""Draw the splits of a retrieval protocol once, and fix them in a manifest with a hash.

The split seed is not the training seed: every method, loss, bit length and training seed sees the same
query, train, validation and database images, and every record carries the manifest's hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bench.data.unseen import UnseenClasses, manifested
from bench.errors import DataError, escaped
from bench.storage.keys import content_key
from bench.types import ImageSet, Pixels, Seed, Splits


class ClassBalanced(UnseenClasses):
    """The class-balanced protocol known as CIFAR-10-1: train lies inside the database."""

    query_per_class: int = Field(100, ge=1, description="queries of each class, which are never trained on")
    train_per_class: int = Field(500, ge=2, description="labelled images per class, validation included")
    val_per_class: int = Field(50, ge=0, description="of which are held out for choosing an epoch")
    database_per_class: int | None = Field(
        None, ge=2, description="images in the database, training included; null = all but the queries"
    )
    split_seed: Seed = Field(0, description="draws the splits; not the training seed")


def class_balanced(
    name: str,
    labels: NDArray[np.int64],
    classes: int,
    params: ClassBalanced,
    names: Sequence[str] = (),
    *,
    cure: str = "lower them",
) -> Splits:
    """Per class: query images, then training images, of which the last are validation.

    The database is everything but the queries, or so many images per class, the training images first. Images
    with labels from ``classes`` on are in the database only.

    Args:
        name: of the data set, for messages and the name of the protocol.
        labels: int64 (n,) class indices.
        classes: number of them.
        params: the quotas.
        names: of the classes, for messages.
        cure: of classes with too few images.

    Raises:
        DataError: a class has too few images for the quotas, or they do not fit together.
    """
    wanted = params.database_per_class
    quota = params.query_per_class + max(params.train_per_class, wanted or 0)
    if wanted is not None and wanted < params.train_per_class:
        raise DataError(
            f"{name}: database_per_class {wanted} has no room for train_per_class "
            f"{params.train_per_class}; raise it"
        )
    if params.val_per_class >= params.train_per_class:
        raise DataError(
            f"{name}: val_per_class {params.val_per_class} leaves nothing of train_per_class "
            f"{params.train_per_class}; lower it"
        )
    counts = np.bincount(labels, minlength=classes)[:classes]
    if counts.min() < quota:
        larger = "train" if quota - params.query_per_class == params.train_per_class else "database"
        least, others = int(counts.argmin()), np.count_nonzero(counts < quota) - 1
        smallest = f"'{escaped(names[least])}'" if names else str(least)
        also = f", and so {'have' if others > 1 else 'has'} {others} more" if others else ""
        raise DataError(
            f"{name}: class {smallest} has {counts.min()} images, fewer than query_per_class + "
            f"{larger}_per_class = {quota}{also}; {cure}"
        )
    generator = np.random.default_rng(params.split_seed)
    query, train, val, database = [], [], [], []
    for label in range(classes):
        members = generator.permutation(np.flatnonzero(labels == label))
        asked, rest = np.split(members, [params.query_per_class])
        query.append(asked)
        train.append(rest[: params.train_per_class - params.val_per_class])
        val.append(rest[params.train_per_class - params.val_per_class : params.train_per_class])
        database.append(rest[:wanted])
    for label in np.unique(labels[labels >= classes]):
        database.append(generator.permutation(np.flatnonzero(labels == label))[:wanted])
    size = f"-d{wanted}" if wanted else ""
    quotas = f"q{params.query_per_class}-t{params.train_per_class}{size}"
    parts = (np.sort(np.concatenate(part)) for part in (query, train, val, database))
    return Splits(f"{name}-balanced-{quotas}-s{params.split_seed}", *parts)


def small_classes_last(images: ImageSet, least: int) -> ImageSet:
    """``images`` with classes of fewer than ``least`` images numbered from ``classes`` on, after the others.

    Raises:
        DataError: fewer than two classes are large enough.
    """
    counts = np.bincount(images.labels, minlength=images.classes)
    few = np.flatnonzero(counts < least)
    if not len(few):
        return images
    large = images.classes - len(few)
    if large < 2:
        raise DataError(
            f"min_per_class {least}: {'one class has' if large else 'no class has'} as many images; lower it"
        )
    order = np.concatenate([np.setdiff1d(np.arange(images.classes), few), few])
    number = np.argsort(order)
    names = [images.names[label] for label in order] if images.names else ()
    return replace(images, labels=number[images.labels], classes=large, names=names)


def limited(splits: Splits, limit: int) -> Splits:
    """At most ``limit`` images per part, for a quick look; the protocol's name says so."""

    def head(part: NDArray[np.int64]) -> NDArray[np.int64]:
        generator = np.random.default_rng(0)
        return np.sort(generator.permutation(part)[:limit])

    return replace(
        splits,
        protocol=f"{splits.protocol}-limit{limit}",
        query=head(splits.query),
        train=head(splits.train),
        val=head(splits.val),
        # Training images stay in the database, as the protocol has them.
        database=np.union1d(head(splits.database), np.intersect1d(splits.database, head(splits.train))),
    )


def manifest(images: ImageSet, splits: Splits) -> dict[str, Any]:
    """What was drawn from what, ready for JSON: index ranges per part and a digest of the images.

    Images that were left out as they cannot be read are named. ``images`` are as the data set numbers their
    classes: which of them are unseen is said beside the digest, and not in it.

    Raises:
        DataError: query images appear in another part, or train and validation overlap.
    """
    for first, second in [("query", "train"), ("query", "val"), ("query", "database"), ("train", "val")]:
        shared = np.intersect1d(getattr(splits, first), getattr(splits, second))
        if len(shared):
            raise DataError(
                f"{splits.protocol}: {len(shared)} images are in {first} and in {second} (first: {shared[0]})"
            )
    digest = hashlib.sha256()
    for content in (_pixels(images.pixels), images.labels, images.truth):
        for piece in pieces(content):
            digest.update(piece)
    skipped = list(getattr(images.pixels, "skipped", ()))
    return {
        "protocol": splits.protocol,
        "images": len(images),
        **({"skipped": skipped} if skipped else {}),
        **({"unseen_classes": manifested(splits.unseen)} if splits.unseen else {}),
        "images_sha256": digest.hexdigest(),
        **{part: _ranges(getattr(splits, part)) for part in ("query", "train", "val", "database")},
    }


def manifest_hash(content: dict[str, Any]) -> str:
    """sha256 of the manifest's canonical JSON, in hex."""
    return content_key(content)


def _pixels(pixels: Pixels) -> Any:
    """What stands for the pixels in a digest: their own one where they are files, else all of them."""
    if hasattr(pixels, "digest"):
        return pixels.digest()
    return pixels if isinstance(pixels, np.ndarray) else pixels[np.arange(len(pixels))]


def pieces(value: Any) -> Iterator[bytes | memoryview]:
    """Arrays, mappings, dataclasses and plain values as bytes, the same for equal values; None has none."""
    if value is None:
        return
    if isinstance(value, np.ndarray):
        yield f"{value.dtype}{value.shape}".encode()
        yield np.ascontiguousarray(value).data
    elif is_dataclass(value) and not isinstance(value, type):
        yield type(value).__name__.encode()
        for field in fields(value):
            yield field.name.encode()
            yield from pieces(getattr(value, field.name))
    elif isinstance(value, Mapping):
        yield f"{{{len(value)}}}".encode()
        for key in sorted(value):
            yield from pieces(key)
            yield from pieces(value[key])
    else:
        # numpy's numbers and Python's are the same to a reader, yet print differently.
        yield f"{value.item() if isinstance(value, np.generic) else value!r};".encode()


def _ranges(indices: NDArray[np.int64]) -> list[list[int]]:
    """Sorted indices as half-open [start, stop) runs: short for databases, readable for queries."""
    if not len(indices):
        return []
    breaks = np.flatnonzero(np.diff(indices) != 1) + 1
    starts, stops = indices[np.r_[0, breaks]], indices[np.r_[breaks - 1, len(indices) - 1]] + 1
    return np.stack([starts, stops], axis=1).tolist()  # type: ignore[no-any-return]
