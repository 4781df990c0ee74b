"""A real browser and the pages of whole reports, opened from the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.report.web.site import site
from bench.results.folder import Results, load_results
from bench.results.summary import summarise
from tests.browser import material

ROOT = Path(__file__).parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Headless Chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install 'hash-pareto[test]'")
    program = os.environ.get("BENCH_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("no Chromium; run: apt-get install chromium, or set BENCH_CHROMIUM to its path")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser: object) -> Iterator[Callable[..., object]]:
    """Open a page; at the end of the test it must not have complained, asked, or left the disk."""
    complaints: list[str] = []
    contexts = []

    def open_page(path: Path, fragment: str = "", **options: object) -> object:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"console {message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("requestfailed", lambda request: complaints.append(f"not loaded: {request.url}"))
        page.on("request", lambda request: _is_local(request.url) or complaints.append(request.url))

        def refuse(dialog: object) -> None:
            complaints.append(f"dialog: {dialog.message}")
            dialog.dismiss()

        page.on("dialog", refuse)
        page.goto(path.as_uri() + fragment)
        page.wait_for_load_state("load")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _is_local(url: str) -> bool:
    return url.startswith(("file:", "data:", "blob:"))


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Path, Results]]:
    """The report of a grid by name, written once: folder and results."""
    made: dict[str, tuple[Path, Results]] = {}

    def write(name: str) -> tuple[Path, Results]:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            if (ROOT / "results" / "published" / name).is_dir():
                results = load_results(ROOT / "results" / "published" / name)
            else:
                results = material.write(folder / "results", getattr(material, name)(), ("a-cell",))
            for path, content in site(summarise(results), results, within=0.02, downloads=[]).items():
                (folder / "site" / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / "site" / path).write_bytes(content)
            made[name] = folder / "site", results
        return made[name]

    return write
