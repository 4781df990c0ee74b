"""The page of a search as a reader meets it: from the disk, in light and dark, on a screen and a phone."""

from __future__ import annotations

import pytest
from PIL import Image

from bench.deployment.encode import encode
from bench.deployment.search import search
from bench.deployment.search_page import page
from tests.deployment.bundles import write_bundle
from tests.deployment.photos import scene

pytestmark = pytest.mark.slow

SCRIPT, LONG = "<script>alert(1)<|script>.png", "x" * 240 + ".png"
#: Ratio of luminances of text and of what lies behind it, as WCAG counts it, for all that is shown.
CONTRASTS = """() => {
    const channels = text => text.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map(c => c / 255)
        .map(c => c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [.2126, .7152, .0722][i], 0);
    const behind = node => {
        for (; node; node = node.parentElement) {
            const color = channels(getComputedStyle(node).backgroundColor);
            if (color.length === 3 || color[3] > 0) return color;
        }
    };
    return [...document.querySelectorAll("h1, h2, p, b, small, span, figcaption, .gone")].map(node => {
        const [a, b] = [channels(getComputedStyle(node).color), behind(node)].map(luminance);
        return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    });
}"""


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A page with hostile names, small and large pictures, and files that went or changed."""
    folder = tmp_path_factory.mktemp("page")
    bundle = write_bundle(folder / "bundle", 64)
    album = folder / "album"
    album.mkdir()
    for number in range(16):
        scene(number).save(album / f"{number:02}.png")
    for name in (
        "<script>alert(1)<|script>.png",
        "\"><img src=x onerror='alert(1)'>.png",
        "x" * 240 + ".png",
    ):
        Image.new("RGB", (900, 300), (90, 160, 30)).save(album / "a.png")
        (album / "a.png").rename(album / name)
    encode(bundle, [album], folder / "codes.npz", threads=1)
    (album / "03.png").unlink()
    scene(99).save(album / "04.png")
    queries = [album / "00.png", album / SCRIPT, album / LONG]
    found = search(bundle, queries, folder / "codes.npz", 19, "flat", 1)
    (folder / "page.html").write_text(page(found, bundle.name, folder / "codes.npz"), encoding="utf-8")
    return folder / "page.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [{"width": 1280, "height": 900}, {"width": 360, "height": 740}])
def test_everything_is_shown_and_can_be_read(visit, written, scheme, viewport):
    opened = visit(written, color_scheme=scheme, viewport=viewport)
    assert opened.locator("section").count() == 3
    assert opened.locator("section li").count() == 3 * 19
    decoded = "Promise.all([...document.images].map(i => i.decode().then(() => i.naturalWidth)))"
    widths = opened.evaluate(decoded)
    assert len(widths) == 3 * (1 + 18)
    assert min(widths) > 0
    assert opened.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    boxes = opened.evaluate(
        "[...document.querySelectorAll('li .picture')].map(e => [e.clientWidth, e.clientHeight])"
    )
    assert all(abs(width - height) <= 1 for width, height in boxes)
    assert min(opened.evaluate(CONTRASTS)) >= 4.5
    dark = opened.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 26)"
    assert dark == (scheme == "dark")
