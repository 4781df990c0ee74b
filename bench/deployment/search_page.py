"""What a search found, as one page with pictures that opens without a network."""

from __future__ import annotations

import base64
import io
import os
import warnings
from html import escape
from pathlib import Path
from string import Template

from bench.data import decoding
from bench.deployment.images import open_rgb
from bench.deployment.search import Found, Hit
from bench.deployment.search_text import closeness, facts, hidden
from bench.errors import escaped

#: Longest side of a picture on the page in pixels; up to so many it is shown pixel by pixel.
SIDE, SMALL = 320, 64

_PAGE = Template(Path(__file__).with_suffix(".html").read_text(encoding="utf-8"))


def page(found: Found, name: str, index: Path) -> str:
    """The page, in HTML.

    Args:
        found: queries and their hits.
        name: of the bundle.
        index: that was searched.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PIL's, of large images: they are shown small
        sections = "\n".join(_section(path, hits, found) for path, hits in found.queries.items())
    told = [*facts(found, index), *(f"{bad.path}: cannot be read ({bad.reason})" for bad in found.unreadable)]
    return _PAGE.substitute(
        name=_text(name),
        facts="\n".join(f'<p class="facts">{_text(fact)}</p>' for fact in told),
        sections=sections,
    )


def _section(path: str, hits: list[Hit], found: Found) -> str:
    measure = "distance" if found.bits else "cosine"
    results = "\n".join(
        f"<li>{_figure(hit.path, found, f'{rank}. {measure} {closeness(hit, found)}', _note(hit))}</li>"
        for rank, hit in enumerate(hits, 1)
    )
    return f"""<section>
<h2>{_text(Path(path).name)}</h2>
<div class="row">
<div class="query">{_figure(path, found, "Query", "")}</div>
<ol>
{results}
</ol>
</div>
<p class="facts">{_text(hidden(path, found))}</p>
</section>"""


def _figure(path: str, found: Found, caption: str, note: str) -> str:
    folder, name = os.path.split(path)
    told = f'<span class="warning">{_text(note)}</span>' if note else ""
    return (
        f"<figure>{_picture(path, found.upright)}"
        f"<figcaption><b>{_text(caption)}</b>{told}{_text(name)}<small>{_text(folder)}</small></figcaption>"
        "</figure>"
    )


def _note(hit: Hit) -> str:
    return "changed since it was encoded" if hit.state == "changed" else ""


def _picture(path: str, upright: bool) -> str:
    try:
        image = open_rgb(path, upright, SIDE)
        image.thumbnail((SIDE, SIDE))
        data, small = io.BytesIO(), max(image.size) <= SMALL
        image.save(data, "PNG" if small else "JPEG", quality=80)
    except Exception as error:  # decoders meet damage in many ways
        missing = isinstance(error, FileNotFoundError)
        reason = "the file is no longer there" if missing else f"cannot be read: {decoding.reason(error)}"
        return f'<div class="picture gone">{_text(reason)}</div>'
    kind, content = ("png", "small") if small else ("jpeg", "")
    source = f"data:image/{kind};base64,{base64.b64encode(data.getvalue()).decode()}"
    return f'<div class="picture"><img class="{content}" alt="" src="{source}"></div>'


def _text(text: str) -> str:
    return escape(escaped(text))
