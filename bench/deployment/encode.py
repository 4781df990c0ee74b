"""Images in files become codes in a file: read in threads while the model computes, and kept.

Codes depend neither on the number of threads nor on which images are computed together.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.data.finding import Finder, LeftOut
from bench.deployment.bundle import Bundle
from bench.deployment.code_files import Rows, Source
from bench.deployment.encoder import Encoder
from bench.deployment.growing_codes import GrowingCodes
from bench.deployment.images import Picture, Unreadable, found, read
from bench.errors import UsageError

#: Images that are computed together.
BATCH = 32


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        found: images there are.
        seen: of these, those that have been looked at.
        encoded: in this run.
        unreadable: images that cannot be read.
        left_out: what was passed over.
        rows: in the file, at the end.
        seconds: since the first image was read.
    """

    found: int = 0
    seen: int = 0
    encoded: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    rows: int = 0
    seconds: float = 0.0


def encode(
    bundle: Bundle,
    images: Sequence[Path],
    out: Path,
    *,
    threads: int,
    batch: int = BATCH,
    upright: bool = True,
    bits: int | None = None,
    tell: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Write the codes of images to ``out``; what is there of an earlier run is kept.

    Images whose path, size and time of change are in the file are not read again.

    Args:
        bundle: whose model encodes.
        images: files, and folders that are searched deep.
        out: see ``bench.deployment.code_files``.
        threads: that read, and that compute.
        batch: images computed together.
        upright: turn images as their EXIF orientation says.
        bits: of codes whose first bits are codes, too, so many.
        tell: called after each batch.

    Raises:
        UsageError: no images, no codes of that length, or ``out`` is damaged, of another bundle, or being
            written.
    """
    source = Source.of(bundle, upright, bits)
    encoder, progress, finder = Encoder(bundle, threads), Progress(), Finder()
    progress.found = sum(1 for _ in found(images, finder))
    progress.left_out = finder.left_out
    if not progress.found:
        hidden = f"; {finder.hidden} hidden files and folders were passed over" if finder.hidden else ""
        raise UsageError(f"{', '.join(map(str, images))}: no images there{hidden}")
    with GrowingCodes(out, source) as growing:
        started = time.monotonic()
        new = _new(found(images, Finder()), growing, progress)
        for pictures, values in batches(encoder, new, upright, threads, batch, progress.unreadable):
            growing.append(_rows(source, pictures, source.first_bits(values)))
            progress.encoded += len(pictures)
            progress.seconds = time.monotonic() - started
            tell(progress)
        progress.rows = growing.finish(without=[image.path for image in progress.unreadable])
        progress.seconds = time.monotonic() - started
    return progress


def batches(
    encoder: Encoder,
    paths: Iterable[str],
    upright: bool,
    threads: int,
    batch: int,
    unreadable: list[Unreadable],
) -> Iterator[tuple[list[Picture], NDArray[Any]]]:
    """Images in the order of ``paths``, and their codes or embeddings, so many at a time.

    Args:
        encoder: what makes them.
        paths: of the images.
        upright: turn images as their EXIF orientation says.
        threads: that read.
        batch: images computed together.
        unreadable: what cannot be read is added here.
    """

    def readable() -> Iterator[Picture]:
        for image in read(paths, encoder.bundle.preprocessing, upright, threads, 2 * batch):
            if isinstance(image, Picture):
                yield image
            else:
                unreadable.append(image)

    pictures = readable()
    while some := list(islice(pictures, batch)):
        yield some, encoder(np.stack([picture.pixels for picture in some])).values


def _new(paths: Iterable[str], growing: GrowingCodes, progress: Progress) -> Iterator[str]:
    """Those of ``paths`` that are not in the file as they are now."""
    for path in paths:
        progress.seen += 1
        try:
            state = os.stat(path)
        except OSError:
            yield path  # what is wrong with it shows when it is read
            continue
        if not growing.known(path, state.st_size, state.st_mtime_ns):
            yield path


def _rows(source: Source, pictures: Sequence[Picture], values: NDArray[Any]) -> Rows:
    return {
        source.column: values,
        "paths": np.array([picture.path for picture in pictures]),
        "sizes": np.array([picture.size for picture in pictures], np.int32),
        "file_bytes": np.array([picture.file_bytes for picture in pictures], np.int64),
        "mtimes": np.array([picture.mtime for picture in pictures], np.int64),
    }
