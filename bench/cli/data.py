"""``data``: fetch and check data sets."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli.options import FOLDER, data_root_option, include_option, verb
from bench.cli.saying import say
from bench.errors import DataError, UsageError


@click.group()
def data() -> None:
    """Data sets: fetch and check them."""


def _asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """What says which data sets are meant."""
    options = [
        click.argument("name", required=False),
        click.option("--grid", type=click.Path(path_type=Path),
                     help="Every data set of this grid instead of one."),
        click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
                     help="A parameter of the data set, for example folder=flowers; with --grid, of the "
                     "grid, as in run."),
        data_root_option,
        include_option,
    ]  # fmt: skip
    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(options), function)


@data.command()
@_asking
@click.option("--list", "listed", type=FOLDER, metavar="FILE",
              help="Also write which image is which to a CSV file: part, id, label and file.")  # fmt: skip
@verb
def prepare(
    name: str | None,
    grid: Path | None,
    overrides: Sequence[str],
    listed: Path | None,
    data_root: Path | None,
    plugins: Sequence[Path],
) -> None:
    """Download or check the data set NAME, look into its files, and show its splits."""
    from bench.data import loading, skipping, unseen
    from bench.data.listing import listing
    from bench.registry import DATASETS
    from bench.storage import atomic

    asked = _asked(name, grid, overrides, plugins)
    if listed and len(asked) > 1:
        raise UsageError(f"--list is for one data set, and {grid} has {len(asked)}; name one of them")
    root, failures = data_root or loading.default_root(), []
    for dataset, params in asked:
        try:
            say(DATASETS.get(dataset)(params).prepare(root))
            loaded = loading.load(dataset, params.model_dump(mode="json"), root, None)
        except DataError as error:
            failures.append(str(error))
            continue
        parts = loaded.splits
        sizes = ", ".join(
            f"{len(getattr(parts, part)):,} {part}" for part in ("query", "train", "val", "database")
        )
        say(f"{parts.protocol}: {sizes}; manifest {loaded.manifest_hash[:12]}")
        if words := unseen.in_words(loaded.images, parts.unseen):
            say(f"unseen: {words}")
        _say_left_out(loaded.images.pixels)
        if skipped := skipping.sentence(loaded.images.pixels):
            say(f"unreadable: {skipped}")
        if listed:
            atomic.write_text(listed, listing(loaded.images, parts))
        copies = loaded.copies().sentences()
        for sentence in copies or ["no query or validation image has an equal picture in another part"]:
            say(f"copies: {sentence}")
    if failures:
        raise DataError("\n".join(dict.fromkeys(failures)))


@data.command()
@_asking
@verb
def check(
    name: str | None,
    grid: Path | None,
    overrides: Sequence[str],
    data_root: Path | None,
    plugins: Sequence[Path],
) -> int:
    """Decode every image of the data set NAME, and list those that cannot be read."""
    from bench.data import decoding, loading
    from bench.data.image_files import ImageFiles
    from bench.registry import DATASETS

    root, failures, code = data_root or loading.default_root(), list[str](), 0
    for dataset, params in _asked(name, grid, overrides, plugins):
        # All are listed, also those that a run would leave out.
        every = {"unreadable": "error"} if hasattr(params, "unreadable") else {}
        try:
            pixels = DATASETS.get(dataset)(params.model_copy(update=every)).load(root).pixels
        except DataError as error:
            failures.append(str(error))
            continue
        if not isinstance(pixels, ImageFiles):
            say(f"{dataset}: {len(pixels):,} images in memory, nothing to decode")
            continue
        _say_left_out(pixels)
        bad = pixels.undecodable()
        for place, why in bad.items():
            say(f"{pixels.paths[place]}: {decoding.reason(why)}")
        images = f"{len(pixels):,} images" if len(pixels) != 1 else "1 image"
        result = f"{len(bad):,} of {images} cannot be read" if bad else f"{images}, all can be read"
        say(f"{dataset}: {result}")
        code = 1 if bad else code
    if failures:
        raise DataError("\n".join(dict.fromkeys(failures)))
    return code


def _asked(
    name: str | None, grid: Path | None, overrides: Sequence[str], plugins: Sequence[Path]
) -> list[tuple[str, Any]]:
    """The data sets that are meant, and their parameters."""
    from bench import registry

    if (name is None) == (grid is None):
        raise UsageError("name one data set, or pass --grid FILE; 'ls datasets' lists the names")
    registry.include_all(plugins)
    return list(_of_grid(grid, overrides) if grid else _of_name(str(name), overrides))


def _say_left_out(pixels: Any) -> None:
    """What was passed over where images were looked for."""
    for sentence in getattr(getattr(pixels, "left_out", None), "sentences", list)():
        say(sentence)


def _of_name(name: str, overrides: Sequence[str]) -> Iterator[tuple[str, Any]]:
    from bench.planning.config import plugin_params
    from bench.registry import DATASETS

    yield name, plugin_params(DATASETS, name, overrides)


def _of_grid(grid: Path, overrides: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Every data set of a grid and its parameters, each once."""
    from bench.planning.config import load_grid, resolve
    from bench.planning.points import points
    from bench.registry import DATASETS

    seen = set()
    for point in points(load_grid(grid, overrides).grid):
        entry = point.values["dataset"]
        params = resolve(DATASETS, entry)
        if (entry.name, params) not in seen:
            seen.add((entry.name, params))
            yield entry.name, params
