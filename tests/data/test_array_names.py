"""A file of ``encode`` is told from one that can be judged, and two of them become one as it is said."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.data.labelled_codes import read_codes
from bench.deployment.code_files import Source, write
from bench.errors import DataError

RECIPES = re.findall(
    r"```python\n(.*?)```", (Path(__file__).parents[2] / "results/README.md").read_text(), re.DOTALL
)
CLASSES = ["rose", "tulip", "daisy"]
SOURCES = {"codes": Source(12, 2, "f" * 64, upright=True), "embeddings": Source(0, 5, "e" * 64, upright=True)}


def encoded(path: Path, source: Source, folders: list[str]) -> Any:
    """Write a file as ``encode`` does, of one image in each of ``folders``; return its codes."""
    rng = np.random.default_rng(len(folders))
    count = len(folders)
    made = rng.integers(256, size=(count, source.width)).astype(np.uint8) & 0xF0
    rows = {
        source.column: made if source.bits else rng.standard_normal((count, 5)).astype(np.float32),
        "paths": np.array([f"photos/{folder}/{number}.jpg" for number, folder in enumerate(folders)]),
        "sizes": np.ones((count, 2), np.int32),
        "file_bytes": np.ones(count, np.int64),
        "mtimes": np.ones(count, np.int64),
    }
    write(path, source, rows)
    return rows[source.column]


@pytest.fixture(params=SOURCES)
def kind(request: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """``codes`` or ``embeddings``, of which there are files of queries and of a database."""
    monkeypatch.chdir(tmp_path)
    encoded(tmp_path / "queries.npz", SOURCES[request.param], ["tulip", "rose"])
    encoded(tmp_path / "database.npz", SOURCES[request.param], [*CLASSES, "tulip"])
    return str(request.param)


def test_a_file_of_encode_is_refused_with_the_line_that_joins_two(kind: str) -> None:
    with pytest.raises(DataError) as refused:
        read_codes(Path("queries.npz"))
    text = str(refused.value)
    assert text.startswith(f"queries.npz: one set of {kind} without labels, as 'encode' writes it; ")
    assert "\n" not in text
    join = text[text.index("numpy.savez(") :]
    with np.load("queries.npz") as q, np.load("database.npz") as d:
        exec(join.replace("...", "[1, 0]", 1).replace("...", "[0, 1, 2, 1]"), {"numpy": np, "q": q, "d": d})
    found = read_codes(Path("both.npz"))
    assert (len(found.query), len(found.database), found.bits) == (2, 4, SOURCES[kind].bits)


def test_the_recipe_labels_images_by_their_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (recipe,) = (text for text in RECIPES if "queries.npz" in text)
    query = encoded(tmp_path / "queries.npz", SOURCES["codes"], ["tulip", "rose"])
    database = encoded(tmp_path / "database.npz", SOURCES["codes"], [*CLASSES, "tulip"])
    exec(recipe, {})
    found = read_codes(Path("both.npz"))
    np.testing.assert_array_equal(found.query, query)
    np.testing.assert_array_equal(found.database, database)
    assert found.bits == 12
    assert found.database_labels is not None
    same = found.query_labels[:, None] == found.database_labels
    assert same.tolist() == [[False, True, False, True], [True, False, False, False]]
