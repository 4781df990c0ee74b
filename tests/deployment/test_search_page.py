"""The page shows what was found, by itself, whatever the files are called and wherever they went."""

from __future__ import annotations

import base64
import io
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from bench.deployment.encode import encode
from bench.deployment.search import search
from bench.deployment.search_page import page
from bench.deployment.search_text import lines


class Elements(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def pictures(self):
        """Those on the page, decoded."""
        sources = [attributes["src"] for tag, attributes in self.tags if tag == "img"]
        assert all(
            source.startswith(("data:image/jpeg;base64,", "data:image/png;base64,")) for source in sources
        )
        return [Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source in sources]


HOSTILE = [
    "<script>alert(1)<|script>.png",
    "\"><img src=x onerror='alert(1)'>.png",
    "$name ${facts} $$.png",
    "&lt;b&gt; & é ü 画.png",
    "\x1b[31mred\n\t.png",
    os.fsdecode(b"\xff\xfe not text.png"),
    "javascript:alert(1).png",
]  # fmt: skip


@pytest.fixture
def album(tmp_path):
    """A folder of images with hostile names, of a colour each."""
    folder = tmp_path / "album"
    folder.mkdir()
    for number, name in enumerate(HOSTILE):
        Image.new("RGB", (40 + number, 90), (30 * number, 90, 200)).save(folder / "a.png")
        (folder / "a.png").rename(folder / name)
    return folder


def shown(bundle, album, index, query, k=20):
    found = search(bundle, [query], index, k, "flat", 1)
    return found, page(found, "<i>name</i> $x", index)


def test_hostile_names_are_text_and_nothing_else(tmp_path, bundle, album):
    index = tmp_path / "codes.npz"
    encode(bundle, [album], index, threads=1)
    for name in HOSTILE:
        found, text = shown(bundle, album, index, album / name)
        elements = Elements(text)
        assert {tag for tag, _ in elements.tags} <= {
            *("html", "head", "meta", "title", "link", "style", "body", "h1", "h2", "p", "main", "section"),
            *("div", "figure", "figcaption", "b", "small", "span", "ol", "li", "img"),
        }
        assert not any(key.startswith("on") for _, attributes in elements.tags for key in attributes)
        assert "<i>name</i> $x" in elements.text
        assert len(elements.pictures()) == 1 + len(HOSTILE)
        for other in HOSTILE:
            if other.isprintable():
                assert other in elements.text
        assert "\x1b" not in text + "\n".join(lines(found, index))
        text.encode("utf-8")
        assert "\\xff" not in text


def test_nothing_is_fetched(tmp_path, bundle, album):
    index = tmp_path / "codes.npz"
    encode(bundle, [album], index, threads=1)
    _, text = shown(bundle, album, index, album / HOSTILE[0])
    for tag, attributes in Elements(text).tags:
        assert tag not in {"script", "iframe", "object", "a"}
        for key in ("src", "href", "data", "srcset", "action"):
            assert (attributes.get(key) or "data:").startswith("data:")
    assert not re.search(r"url\(|@import", text)


def test_pictures_are_those_of_the_images(tmp_path, bundle, album):
    index = tmp_path / "codes.npz"
    encode(bundle, [album], index, threads=1)
    found, text = shown(bundle, album, index, album / HOSTILE[3])
    (hits,) = found.queries.values()
    for path, picture in zip(
        [album / HOSTILE[3], *(hit.path for hit in hits)], Elements(text).pictures(), strict=True
    ):
        with Image.open(path) as image:
            assert picture.size == image.size
            assert abs(np.asarray(picture).astype(int) - np.asarray(image)).max() < 8


def test_large_photos_are_made_small_and_turned(tmp_path, bundle):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (3000, 2000), (200, 30, 30)).save(tmp_path / "large.jpg", exif=exif)
    index = tmp_path / "codes.npz"
    encode(bundle, [tmp_path / "large.jpg"], index, threads=1)
    _, text = shown(bundle, tmp_path, index, tmp_path / "large.jpg")
    assert {picture.size for picture in Elements(text).pictures()} == {(213, 320)}
    assert len(text) < 20_000


def test_very_large_images_are_shown_without_a_warning(tmp_path, bundle):
    """PIL warns from 90 million pixels on; here warnings are errors."""
    Image.new("1", (10_000, 9_500)).save(tmp_path / "plan.png")
    index = tmp_path / "codes.npz"
    encode(bundle, [tmp_path / "plan.png"], index, threads=1)
    _, text = shown(bundle, tmp_path, index, tmp_path / "plan.png")
    assert {picture.size for picture in Elements(text).pictures()} == {(320, 304)}


def test_small_images_stay_exact_and_unsmoothed(tmp_path, bundle):
    noise = np.random.default_rng(0).integers(256, size=(28, 28, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "small.png")
    index = tmp_path / "codes.npz"
    encode(bundle, [tmp_path / "small.png"], index, threads=1)
    _, text = shown(bundle, tmp_path, index, tmp_path / "small.png")
    elements = Elements(text)
    for picture in elements.pictures():
        np.testing.assert_array_equal(np.asarray(picture), noise)
    assert all(attributes["class"] == "small" for tag, attributes in elements.tags if tag == "img")


def test_files_that_went_changed_or_broke_are_shown_as_such(tmp_path, bundle, album):
    index = tmp_path / "codes.npz"
    encode(bundle, [album], index, threads=1)
    (album / HOSTILE[0]).unlink()
    os.utime(album / HOSTILE[1], ns=(0, 0))
    (album / HOSTILE[2]).write_bytes(b"broken")
    found, text = shown(bundle, album, index, album / HOSTILE[3])
    elements = Elements(text)
    assert len(elements.pictures()) == 1 + len(HOSTILE) - 2
    assert elements.text.count("the file is no longer there") == 1
    assert elements.text.count("cannot be read: PIL knows no such format") == 1
    assert elements.text.count("changed since it was encoded") == 2
    told = [line for line in lines(found, index) if line.endswith(("(missing)", "(changed)"))]
    assert len(told) == 3


def test_queries_that_cannot_be_read_are_named(tmp_path, bundle, album):
    index = tmp_path / "codes.npz"
    encode(bundle, [album], index, threads=1)
    (album / "bad.png").write_bytes(b"")
    found = search(bundle, [album / "bad.png"], index, 3, "flat", 1)
    text = Elements(page(found, "name", index)).text
    assert f"{album / 'bad.png'}: cannot be read (PIL knows no such format)" in text


def test_the_page_says_what_the_numbers_are(tmp_path, bundle, embeddings, album):
    for made, word in ((bundle, "distance 0"), (embeddings, "cosine 1.0000")):
        index = tmp_path / f"{made.bits}.npz"
        encode(made, [album], index, threads=1)
        _, text = shown(made, album, index, album / HOSTILE[3])
        assert f"1. {word}" in Elements(text).text
