"""``search``: the images whose codes are nearest to that of an image."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench import environment
from bench.cli.options import FOLDER, Count, verb
from bench.cli.saying import say
from bench.errors import UsageError, escaped

log = logging.getLogger(__name__)


@click.command()
@click.argument("bundle", type=FOLDER)
@click.argument("images", type=FOLDER, nargs=-1, required=True)
@click.option("--index", type=FOLDER, required=True, metavar="FILE", help="Codes written by 'encode'.")
@click.option("-k", type=Count(), default=10, show_default=True, metavar="N", help="Images to find for each.")
@click.option("--index-type", "kind", type=click.Choice(["flat", "ivf", "multihash"]), default="flat",
              show_default=True, help="flat is exact; the others look at fewer codes and may miss "
              "some.")  # fmt: skip
@click.option("--html", type=FOLDER, metavar="FILE", help="Also write a page with the pictures.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def search(
    bundle: Path, images: Sequence[Path], index: Path, k: int, kind: Any, html: Path | None, as_json: bool
) -> int:
    """Find the images nearest to IMAGES, files or folders of them, among those that BUNDLE encoded."""
    from bench.deployment import search_page, search_text
    from bench.deployment.bundle import Bundle
    from bench.deployment.search import search as search_images
    from bench.storage import atomic

    if html is not None and html.resolve() in {path.resolve() for path in (index, *images)}:
        raise UsageError(f"--html {html}: would take the place of what is searched; name another file")
    made = Bundle.read(bundle)
    found = search_images(made, images, index, k, kind, environment.default_threads())
    if as_json:
        say(json.dumps(search_text.as_json(found, made, index), indent=1))
    else:
        for line in search_text.lines(found, index):
            say(line)
    if k > found.rows:
        log.warning("-k is %d, but %s holds %d images: all are shown", k, index, found.rows)
    if html is not None:
        atomic.write_text(html, search_page.page(found, made.name, index))
        log.info("page: %s", html)
    for image in found.unreadable:
        log.warning("left out: %s", escaped(f"{image.path}: {image.reason}"))
    return 1 if found.unreadable else 0
