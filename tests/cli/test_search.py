"""``search`` as a person or a program meets it."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from tests.deployment.bundles import write_bundle


@pytest.fixture
def album(bench, folder):
    """Twelve photos of their own colours, and their codes."""
    write_bundle(folder / "bundle", 256)
    (folder / "album").mkdir()
    for number in range(12):
        image = Image.new("RGB", (20, 30), (20 * number, 99, 255 - 20 * number))
        image.save(folder / f"album/{number:02}.png")
    assert bench("encode", "bundle", "album").code == 0
    return folder / "album"


def test_the_nearest_stand_below_the_query(bench, album):
    result = bench("search", "bundle", "album/03.png", "--index", "codes.npz", "-k", 3)
    lines = result.out.splitlines()
    assert (result.code, result.err) == (0, "")
    assert lines[:4] == [
        "codes.npz: 12 images; Hamming distance of 256 bits, nearest first",
        "",
        str(album / "03.png"),
        f"  1   0  {album / '03.png'}",
    ]
    assert len(lines) == 6
    distances = [int(line.split()[1]) for line in lines[3:]]
    assert distances == sorted(distances)


def test_programs_get_json(bench, album):
    asked = [album / "03.png", album / "05.png"]
    answer = json.loads(bench("search", "bundle", *asked, "--index", "codes.npz", "-k", 3, "--json").out)
    assert {key: value for key, value in answer.items() if key not in {"queries", "fingerprint"}} == {
        "bundle": "small",
        "index": "codes.npz",
        "images": 12,
        "bits": 256,
        "index_type": "flat",
        "settings": {},
        "unreadable": [],
    }
    assert [query["path"] for query in answer["queries"]] == [str(path) for path in asked]
    first = answer["queries"][1]["results"][0]
    assert first == {
        "rank": 1,
        "distance": 0,
        "path": str(album / "05.png"),
        "width": 20,
        "height": 30,
        "row": 5,
        "state": "as encoded",
    }
    assert [hit["rank"] for hit in answer["queries"][0]["results"]] == [1, 2, 3]


def test_more_than_there_are_is_told_and_all_are_shown(bench, album):
    result = bench("search", "bundle", "album/03.png", "--index", "codes.npz", "-k", 50)
    assert result.code == 0
    assert result.err == "-k is 50, but codes.npz holds 12 images: all are shown\n"
    assert len(result.out.splitlines()) == 3 + 12


def test_embeddings_are_shown_with_their_cosine(bench, album, folder):
    write_bundle(folder / "vectors", 0, 64)
    assert bench("encode", "vectors", "album", "--out", "vectors.npz").code == 0
    asked = ["search", "vectors", "album/03.png", "--index", "vectors.npz", "-k", 2]
    lines = bench(*asked).out.splitlines()
    assert lines[0] == "vectors.npz: 12 images; cosine of embeddings, nearest first"
    assert lines[3] == f"  1  1.0000  {album / '03.png'}"
    first = json.loads(bench(*asked, "--json").out)["queries"][0]["results"][0]
    assert first["cosine"] == pytest.approx(1, abs=1e-5)
    assert "distance" not in first
    refused = bench(*asked, "--index-type", "multihash")
    assert refused.code == 2
    assert "--index-type multihash needs codes, and the bundle makes embeddings; use flat" in refused.err


@pytest.mark.parametrize("kind", ["ivf", "multihash"])
def test_indexes_that_may_miss_some_say_so(bench, album, kind):
    result = bench("search", "bundle", "album/03.png", "--index", "codes.npz", "--index-type", kind)
    assert result.code == 0
    assert result.out.splitlines()[1].startswith(f"index {kind} (")
    assert "may miss some" in result.out
    asked = bench("search", "bundle", "album/03.png", "--index", "codes.npz", "--index-type", kind, "--json")
    assert json.loads(asked.out)["settings"]


def test_a_page_is_written_and_named(bench, album, folder):
    result = bench("search", "bundle", "album/03.png", "--index", "codes.npz", "--html", "out/page.html")
    assert result.err == "page: out/page.html\n"
    assert "<title>Images found with small</title>" in (folder / "out/page.html").read_text()


def test_a_query_that_cannot_be_read_is_listed(bench, album):
    (album / "bad\n.png").write_bytes(b"")
    result = bench("search", "bundle", "album/bad\n.png", "album/00.png", "--index", "codes.npz")
    assert result.code == 1
    assert result.err == f"left out: {album}/bad\\n.png: PIL knows no such format\n"
    assert result.out.count(str(album / "00.png")) == 2
    program = bench("search", "bundle", "album/bad\n.png", "--index", "codes.npz", "--json")
    assert program.code == 1
    assert json.loads(program.out)["unreadable"][0]["reason"] == "PIL knows no such format"


@pytest.mark.parametrize("precious", ["codes.npz", "album/00.png"])
def test_a_page_takes_the_place_of_nothing_that_is_searched(bench, album, folder, precious):
    before, page = (folder / precious).read_bytes(), f"album/../{precious}"
    result = bench("search", "bundle", "album/00.png", "--index", "codes.npz", "--html", page)
    assert result.code == 2
    assert "would take the place of what is searched; name another file" in result.err
    assert (folder / precious).read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["bundle", "album/00.png"], "Missing option '--index'"),
        (["bundle", "--index", "codes.npz"], "Missing argument 'IMAGES...'"),
        (["bundle", "absent.png", "--index", "codes.npz"], "absent.png: no such file or folder"),
        (["bundle", "album/00.png", "--index", "absent.npz"], "absent.npz: no such file; make it"),
        (["bundle", "album/00.png", "--index", "bundle/bundle.json"], "not a file of 'encode'"),
        (["bundle", "album/00.png", "--index", "album"], "album: not a file"),
        (
            ["bundle", "album/00.png", "--index", "codes.npz", "-k", "0"],
            "is not a whole number of at least 1",
        ),
        (["bundle", "album/00.png", "--index", "codes.npz", "--index-type", "hnsw"], "is not one of"),
        (["absent", "album/00.png", "--index", "codes.npz"], "absent: no bundle; make one with"),
        (["other", "album/00.png", "--index", "codes.npz"], "made by another bundle than other"),
        (["bundle", "album/00.png", "--index", "/dev/zero"], "/dev/zero: not a file"),
        (["bundle", "album/00.png", "--index", "codes.npz", "--html", "album"], "album: a folder lies in"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_use_is_told(bench, album, folder, arguments, expected):
    write_bundle(folder / "other", 16)
    result = bench("search", *arguments)
    assert result.code == 2
    assert expected in result.err
    assert "Traceback" not in result.err
    assert "defect" not in result.err
