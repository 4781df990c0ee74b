"""``encode``: images become codes, by the model of a bundle."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bench import environment
from bench.cli.options import FOLDER, Count, verb
from bench.cli.saying import say
from bench.errors import escaped

if TYPE_CHECKING:
    from bench.deployment.encode import Progress
    from bench.deployment.images import Unreadable

log = logging.getLogger(__name__)

#: Unreadable images that are listed one by one, and seconds between lines of progress in a log.
LISTED, EVERY = 10, 30.0


#: More help nobody, and many more than there are cores stop a machine.
MOST_THREADS = 256


@click.command()
@click.argument("bundle", type=FOLDER)
@click.argument("images", type=FOLDER, nargs=-1, required=True)
@click.option("--out", type=FOLDER, default="codes.npz", show_default=True, metavar="FILE",
              help="Where the codes go; images that are there already are not encoded again.")  # fmt: skip
@click.option("--batch", type=Count(), default=32, show_default=True, metavar="N",
              help="Images computed together; the codes do not depend on it.")  # fmt: skip
@click.option("--threads", type=Count(most=MOST_THREADS), metavar="N",
              help="Threads that read images and compute [default: one a core].")  # fmt: skip
@click.option("--bits", type=Count(), metavar="N",
              help="Keep the first N bits, of a network that has learnt several lengths [default: all]."
              )  # fmt: skip
@click.option("--as-stored", is_flag=True,
              help="Do not turn images as their EXIF orientation says, as published sets do.")  # fmt: skip
@verb
def encode(
    bundle: Path,
    images: Sequence[Path],
    out: Path,
    batch: int,
    threads: int | None,
    bits: int | None,
    as_stored: bool,
) -> int:
    """Encode IMAGES, files or folders of them, with the model of BUNDLE.

    The same command goes on after an interruption; with more images, it appends. Images that cannot be read
    are listed and left out, with exit code 1.
    """
    from bench.deployment.bundle import Bundle
    from bench.deployment.encode import encode as encode_images

    made = Bundle.read(bundle)
    line = _Line()
    done = encode_images(
        made,
        images,
        out,
        threads=threads or environment.default_threads(),
        batch=batch,
        upright=not as_stored,
        bits=bits,
        tell=line.show,
    )
    line.end()
    if done.left_out.hidden:
        log.info("hidden files and folders passed over: %d", done.left_out.hidden)
    for sentence in done.left_out.pictures():
        log.warning("warning: %s", sentence)
    what = (
        f"codes of {made.length(bits)} bits" if made.bits else f"embeddings of {made.dimensions} dimensions"
    )
    rate = f" in {done.seconds:.1f} s ({done.encoded / done.seconds:,.0f}/s)" if done.encoded else ""
    if not done.rows:
        say(f"no image could be read: {out} was not written")
        return _tell_unreadable(done.unreadable, out)
    say(f"{out}: {done.rows:,} {what}, {done.encoded:,} of them new{rate}")
    return _tell_unreadable(done.unreadable, out)


def _tell_unreadable(unreadable: Sequence[Unreadable], out: Path) -> int:
    """List them on stderr and in a file beside ``out``; returns the exit code."""
    from bench.storage import atomic

    path = out.with_name(f"{out.name}.unreadable.txt")
    if not unreadable:
        path.unlink(missing_ok=True)
        return 0
    lines = [escaped(f"{image.path}: {image.reason}") for image in unreadable]
    atomic.write_text(path, "".join(f"{line}\n" for line in lines))
    for line in lines[:LISTED]:
        log.warning("left out: %s", line)
    more = f" ({len(lines) - LISTED:,} more than shown)" if len(lines) > LISTED else ""
    log.warning("images that cannot be read: %s, all listed in %s%s", f"{len(lines):,}", path, more)
    return 1


class _Line:
    """How far it is: one line that is written over on a terminal, else a line in the log now and then."""

    def __init__(self) -> None:
        there = sys.stderr is not None and sys.stderr.isatty()
        self._terminal = there and not os.environ.get("CI") and _chatty()
        self._told = time.monotonic()

    def show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._told < (0.2 if self._terminal else EVERY):
            return
        self._told = now
        rate = progress.encoded / max(progress.seconds, 1e-9)
        left = _duration((progress.found - progress.seen) / rate)
        text = f"{progress.seen:,} of {progress.found:,} images, {rate:,.0f}/s, about {left} left"
        if self._terminal:
            click.echo(f"\r{text}\x1b[K", nl=False, err=True)
        else:
            log.info(text)

    def end(self) -> None:
        if self._terminal:
            click.echo("\r\x1b[K", nl=False, err=True)


def _chatty() -> bool:
    return any(handler.level <= logging.INFO for handler in logging.getLogger("bench").handlers)


def _duration(seconds: float) -> str:
    """A time to come in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
