"""Names, warnings and errors of others reach no page, table, chart or file of a gate as they are."""

from __future__ import annotations

import io
import json
import re
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rich.console import Console

from bench.errors import escaped
from bench.execution import progress
from bench.results.folder import ResultsFolder, save_index
from bench.results.records import Failure
from bench.storage import sealed
from tests import recorded

#: Colours a terminal, turns the direction of what follows, breaks a line for some readers, no XML has, half
#: of a pair, what rich, HTML, Markdown and LaTeX would act on.
NASTY = "\x1b[31mx\u202ey\u2028z\x00\x85\x7f\ufffe\udc80\u200b[red]<b>*_$%"


def nasty_record(**changes) -> dict[str, Any]:
    """The content of a record's file, as somebody may have written it."""
    record = recorded.make_record(**changes).model_dump(mode="json")
    record["cell"] |= {"dataset": f"d{NASTY}", "student": f"s{NASTY}", "loss": f"l{NASTY}"}
    record["cell"]["protocol"] |= {f"p{NASTY}": NASTY}
    record["params"] = {f"k{NASTY}": {NASTY: [NASTY]}, "method": {"lr": 1e-3, NASTY: NASTY}}
    record["warnings"] = [f"w{NASTY}"]
    record["environment"] |= {"cpu": f"c{NASTY}", NASTY: NASTY}
    return record


def nasty_folder(path: Path) -> Path:
    """Results with nothing harmless in them."""
    folder = ResultsFolder(path)
    some = [nasty_record(seed=seed, bits=bits) for seed in range(3) for bits in (16, 32)]
    failure = Failure(type=f"T{NASTY}", stage=f"s{NASTY}", message=f"m{NASTY}\n{NASTY}")
    some.append(nasty_record(seed=9, status="failed", error=failure))
    cells = {record["cell_key"]: f"c{NASTY}" for record in some} | {"absent": f"missing{NASTY}"}
    save_index(folder.path, f"n{NASTY}", [("map", "macs")], cells, f"why{NASTY}")
    for i, record in enumerate(some):
        folder.record(str(i)).parent.mkdir(exist_ok=True)
        folder.record(str(i)).write_text(sealed.sealed(record), encoding="utf-8")
        folder.log(str(i)).parent.mkdir(exist_ok=True)
        folder.log(str(i)).write_text(f"log{NASTY}\n", encoding="utf-8", errors="surrogatepass")
    return folder.path


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> list[Path]:
    """Two of them; the name of one is no UTF-8."""
    root = tmp_path_factory.mktemp("shown")
    return [nasty_folder(root / "a"), nasty_folder(root / NASTY.replace("\x00", "").replace("/", ""))]


def check_text(text: str, where: str) -> None:
    left = {c for c in text if not c.isprintable() and c not in "\n\t"}
    assert not left, f"{where}: {sorted(map(ascii, left))}"


def check_pages(out: Path) -> None:
    """Whatever a reader of the report's files sees."""
    files = [path for path in out.rglob("*") if path.is_file() and path.parent.name != "assets"]
    assert len(files) > 12
    for path in files:
        name = path.relative_to(out).as_posix()
        if path.suffix in {".html", ".md", ".csv", ".tex", ".svg"}:
            text = path.read_text(encoding="utf-8")
            check_text(text, name)
            for data in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL):
                check_text("".join(strings(json.loads(data))), f"data in {name}")
            if path.suffix == ".html":
                assert "<b>*" not in text
        if path.suffix == ".svg":
            ElementTree.fromstring(path.read_bytes())


def strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from strings(inner)


def test_a_report(bench, folders):
    result = bench("report", *folders, "--out", "both")
    assert result.code == 0, result.err
    check_text(result.out + result.err, "the terminal")
    check_pages(Path("both"))
    page = Path("both/index.html").read_text(encoding="utf-8")
    assert r"why\x1b[31mx\u202ey\u2028z\x00\x85\x7f\ufffe?\u200b[red]&lt;b&gt;*_$%" in page


def test_a_gate(bench, folders, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
    result = bench("check", folders[0], "--baseline", folders[1], "--junit", "a.xml", "--markdown", "a.md")
    assert result.code in {0, 3, 4}, result.err
    for text in (result.out, result.err, *(Path(name).read_text("utf-8") for name in ("a.md", "summary.md"))):
        check_text(text, text[:40])
    suite = ElementTree.fromstring(Path("a.xml").read_bytes())
    for element in suite.iter():
        for text in (*element.attrib.values(), element.text or ""):
            check_text(text, element.tag)


def test_a_comparison(bench, folders):
    result = bench("compare", *folders)
    assert result.code in {0, 4}, result.err
    check_text(result.out + result.err, "the terminal")


def test_bars(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(progress.log, "disabled", True)  # what is logged of it is no text that tests can tell
    monkeypatch.setattr(progress, "bars_wanted", lambda: True)
    monkeypatch.setattr(
        progress,
        "Console",
        lambda **_: Console(file=screen, force_terminal=True, color_system=None, width=200),
    )
    with progress.steps([f"a{NASTY}[/red]"]) as names:
        for name in names:
            assert name.startswith("a")
    drawn = re.sub(r"\x1b\[\?25[lh]|\x1b\[2K|\x1b\[1A|\r", "", screen.getvalue())
    check_text(drawn, "a bar")
    assert r"a\x1b[31mx\u202ey\u2028z\x00\x85\x7f\ufffe\udc80\u200b[red]<b>*_$%[/red]" in drawn


def test_lines_that_stay_are_looked_at_alone():
    assert escaped("a\tb\nc\x1b\r\n", but="\n\t") == "a\tb\nc\\x1b\\r\n"
    assert escaped("a\nb") == "a\\nb"
    text = "0123456789\n" * 200_000
    started = time.perf_counter()
    assert escaped(text, but="\n\t") == text
    assert time.perf_counter() - started < 2
