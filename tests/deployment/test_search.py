"""The nearest images are those that counting finds, and an index answers its own bundle alone."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.deployment.code_files import CodeFile, Source, write
from bench.deployment.encode import encode
from bench.deployment.search import search
from bench.errors import UsageError
from tests.deployment.bundles import write_bundle


@pytest.fixture(scope="module")
def index(bundle, photos, tmp_path_factory):
    path = tmp_path_factory.mktemp("index") / "codes.npz"
    encode(bundle, [photos[0]], path, threads=2)
    return path


@pytest.fixture(scope="module")
def queries(photos):
    folder, made = photos
    return [folder / name for name in made.readable[::10]]


def names_of(index):
    return [name for block in CodeFile(index).blocks("paths") for name in block.tolist()]


def by_counting(index, query, k):
    """Distances and rows of the k nearest, ``query`` first of its ties; how many more are as near."""
    codes = [int.from_bytes(code.tobytes()) for code in CodeFile(index).values()]
    ranked = sorted(
        (bin(code ^ codes[query]).count("1"), row != query, row) for row, code in enumerate(codes)
    )
    return [(distance, row) for distance, _, row in ranked[:k]], sum(
        distance == ranked[:k][-1][0] for distance, _, _ in ranked[k:]
    )


@pytest.mark.parametrize("k", [1, 10, 148, 1000])
def test_flat_finds_what_counting_finds(bundle, index, queries, k):
    found = search(bundle, queries, index, k, "flat", 2)
    names = names_of(index)
    assert list(found.queries) == [str(query) for query in queries]
    for path, hits in found.queries.items():
        expected, hidden = by_counting(index, names.index(path), k)
        assert found.hidden[path] == hidden
        assert [(hit.closeness, hit.row) for hit in hits] == expected
        assert [hit.path for hit in hits] == [names[row] for _, row in expected]
        assert {hit.state for hit in hits} == {"as encoded"}
        for hit in hits[:3]:
            with Image.open(hit.path) as image:
                assert sorted(image.size) == sorted(hit.size)


@pytest.mark.parametrize("kind", ["ivf", "multihash"])
def test_other_indexes_miss_some_and_make_up_none(bundle, index, queries, kind):
    found = search(bundle, queries, index, 10, kind, 2)
    assert found.settings
    names, right, asked = names_of(index), 0, 0
    for path, hits in found.queries.items():
        distances = {row: distance for distance, row in by_counting(index, names.index(path), 148)[0]}
        assert all(hit.closeness == distances[hit.row] for hit in hits)
        order = [(hit.closeness, hit.row) for hit in hits]
        assert order == sorted(order)
        assert len({hit.row for hit in hits}) == len(hits) <= 10
        assert hits[0].closeness == 0
        nearest = {row for _, row in by_counting(index, names.index(path), 10)[0]}
        right, asked = right + len(nearest & {hit.row for hit in hits}), asked + 10
    assert right > 0.3 * asked


def test_embeddings_are_compared_by_cosine(tmp_path, photos, embeddings, queries):
    path = tmp_path / "vectors.npz"
    encode(embeddings, [photos[0]], path, threads=2)
    vectors, names = CodeFile(path).values().astype(np.float64), names_of(path)
    found = search(embeddings, queries, path, 10, "flat", 2)
    assert found.bits == 0
    for query, hits in found.queries.items():
        cosines = vectors @ vectors[names.index(query)]
        assert hits[0].closeness == pytest.approx(1, abs=1e-5)
        np.testing.assert_allclose([hit.closeness for hit in hits], np.sort(cosines)[::-1][:10], atol=1e-5)
        np.testing.assert_allclose(
            [cosines[hit.row] for hit in hits], [hit.closeness for hit in hits], atol=1e-5
        )
    with pytest.raises(UsageError, match="ivf needs codes, and the bundle makes embeddings; use flat"):
        search(embeddings, queries, path, 10, "ivf", 2)


def test_equal_cosines_are_in_the_order_of_rows(tmp_path, embeddings, photos):
    vector = np.zeros((7, 16), np.float32)
    vector[:, 0] = 1
    rows = {
        "embeddings": vector,
        "paths": np.array([f"{number}" for number in range(7)]),
        "sizes": np.ones((7, 2), np.int32),
        "file_bytes": np.zeros(7, np.int64),
        "mtimes": np.zeros(7, np.int64),
    }
    write(tmp_path / "same.npz", Source.of(embeddings, True), rows)
    found = search(embeddings, [photos[0] / photos[1].readable[0]], tmp_path / "same.npz", 5, "flat", 1)
    (hits,) = found.queries.values()
    assert [hit.row for hit in hits] == [0, 1, 2, 3, 4]


def test_queries_are_read_as_the_index_was(tmp_path, bundle, photos):
    folder, made = photos
    turned = folder / next(name for name in made.readable if "turned" in name)
    for upright in (True, False):
        out = tmp_path / f"{upright}.npz"
        encode(bundle, [turned], out, threads=1, upright=upright)
        (hits,) = search(bundle, [turned], out, 1, "flat", 1).queries.values()
        assert hits[0].closeness == 0
        assert search(bundle, [turned], out, 1, "flat", 1).upright == upright


def test_a_query_that_cannot_be_read_is_told_and_the_others_are_answered(bundle, photos, index):
    folder, made = photos
    asked = [folder / made.unreadable[0], folder / made.readable[0]]
    found = search(bundle, asked, index, 3, "flat", 1)
    assert list(found.queries) == [str(asked[1])]
    assert [bad.path for bad in found.unreadable] == [str(asked[0])]
    for kind in ("flat", "ivf", "multihash"):
        assert not search(bundle, asked[:1], index, 3, kind, 1).queries


def test_files_that_went_or_changed_are_marked(tmp_path, bundle, photos):
    album = Path(shutil.copytree(photos[0] / "album 2", tmp_path / "album"))
    names = sorted(os.listdir(album))
    encode(bundle, [album], tmp_path / "codes.npz", threads=1)
    (album / names[0]).unlink()
    os.utime(album / names[1], ns=(0, 0))
    found = search(bundle, [album / names[2]], tmp_path / "codes.npz", 1000, "flat", 1)
    states = {Path(hit.path).name: hit.state for hit in found.queries[str(album / names[2])]}
    assert [states[name] for name in names[:3]] == ["missing", "changed", "as encoded"]


def test_an_index_of_another_bundle_is_refused(tmp_path, bundle, index, queries):
    other = write_bundle(tmp_path / "other", 16)
    with pytest.raises(UsageError, match=r"codes\.npz: made by another bundle .*encode the images again"):
        search(other, queries, index, 1, "flat", 1)


def test_what_holds_nothing_is_told(tmp_path, bundle, index, queries):
    rows = {
        "codes": np.empty((0, 4), np.uint8),
        "paths": np.empty(0, np.str_),
        "sizes": np.empty((0, 2), np.int32),
        "file_bytes": np.empty(0, np.int64),
        "mtimes": np.empty(0, np.int64),
    }
    write(tmp_path / "empty.npz", Source.of(bundle, True), rows)
    with pytest.raises(UsageError, match="holds no images; encode some first"):
        search(bundle, queries, tmp_path / "empty.npz", 1, "flat", 1)
    with pytest.raises(UsageError, match="no such file; make it: python -m bench encode"):
        search(bundle, queries, tmp_path / "absent.npz", 1, "flat", 1)
    with pytest.raises(UsageError, match="no images there"):
        search(bundle, [tmp_path], index, 1, "flat", 1)


def test_codes_too_short_for_hash_tables_are_told(tmp_path, photos):
    short = write_bundle(tmp_path / "short", 1)
    encode(short, [photos[0]], tmp_path / "codes.npz", threads=1)
    query = [photos[0] / photos[1].readable[0]]
    with pytest.raises(UsageError, match="2 tables of 1 bits need longer codes than 1 bits"):
        search(short, query, tmp_path / "codes.npz", 1, "multihash", 1)
    assert len(search(short, query, tmp_path / "codes.npz", 5, "flat", 1).queries[str(query[0])]) == 5


def test_an_index_of_first_bits_is_searched_by_those_of_the_query(bundle, photos, queries, tmp_path):
    several = dataclasses.replace(bundle, lengths=(20, 32))
    encode(several, [photos[0]], tmp_path / "short.npz", threads=2, bits=20)
    found = search(several, queries, tmp_path / "short.npz", 5, "flat", 2)
    names = names_of(tmp_path / "short.npz")
    for path, hits in found.queries.items():
        expected, _ = by_counting(tmp_path / "short.npz", names.index(path), 5)
        assert [(hit.closeness, hit.row) for hit in hits] == expected
    with pytest.raises(UsageError, match="made by another bundle"):
        search(bundle, queries, tmp_path / "short.npz", 5, "flat", 2)
