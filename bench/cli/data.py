"""``data``: fetch and check data sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli.options import FOLDER, data_root_option, include_option, verb
from bench.cli.saying import say
from bench.errors import DataError, UsageError


@click.group()
def data() -> None:
    """Data sets: fetch and check them."""


@data.command()
@click.argument("name", required=False)
@click.option("--grid", type=click.Path(path_type=Path), help="Every data set of this grid instead of one.")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE",
              help="A parameter of the data set, for example folder=flowers; with --grid, of the grid, "
              "as in run.")  # fmt: skip
@click.option("--list", "listed", type=FOLDER, metavar="FILE",
              help="Also write which image is which to a CSV file: part, id, label and file.")  # fmt: skip
@data_root_option
@include_option
@verb
def prepare(
    name: str | None,
    grid: Path | None,
    overrides: Sequence[str],
    listed: Path | None,
    data_root: Path | None,
    plugins: Sequence[Path],
) -> None:
    """Download or check the data set NAME, and show its splits."""
    from bench import registry
    from bench.data import loading
    from bench.data.listing import listing
    from bench.registry import DATASETS
    from bench.storage import atomic

    if (name is None) == (grid is None):
        raise UsageError("name one data set, or pass --grid FILE; 'ls datasets' lists the names")
    registry.include_all(plugins)
    asked = list(_of_grid(grid, overrides) if grid else _of_name(str(name), overrides))
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
        if left_out := getattr(loaded.images.pixels, "left_out", 0):
            what = "hidden files and folders" if left_out > 1 else "hidden file or folder"
            say(f"{left_out} {what} left out (its name begins with a dot, or is __MACOSX)")
        if listed:
            atomic.write_text(listed, listing(loaded.images, parts))
        copies = loaded.copies().sentences()
        for sentence in copies or ["no query or validation image has an equal picture in another part"]:
            say(f"copies: {sentence}")
    if failures:
        raise DataError("\n".join(dict.fromkeys(failures)))


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
