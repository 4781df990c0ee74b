"""What a search found, as lines for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.deployment.bundle import Bundle
from bench.deployment.search import Found, Hit
from bench.errors import escaped


def lines(found: Found, index: Path) -> Iterator[str]:
    """The queries, each with a line for every hit: rank, distance or cosine, path."""
    yield from facts(found, index)
    for path, hits in found.queries.items():
        yield ""
        yield escaped(path)
        rank, near = len(str(len(hits))), max((len(closeness(hit, found)) for hit in hits), default=0)
        for number, hit in enumerate(hits, 1):
            note = "" if hit.state == "as encoded" else f"  ({hit.state})"
            yield f"  {number:>{rank}}  {closeness(hit, found):>{near}}  {escaped(hit.path)}{note}"
        if more := hidden(path, found):
            yield f"  {more}"


def facts(found: Found, index: Path) -> list[str]:
    """What was searched, and how."""
    measure = f"Hamming distance of {found.bits} bits" if found.bits else "cosine of embeddings"
    told = [f"{escaped(str(index))}: {found.rows:,} images; {measure}, nearest first"]
    if found.kind != "flat":
        settings = ", ".join(f"{name} {value}" for name, value in found.settings.items())
        told.append(f"index {found.kind} ({settings}) looks at fewer images and may miss some")
    return told


def hidden(path: str, found: Found) -> str:
    """How many images are as near as the last one and not among the hits; empty if none."""
    count = found.hidden[path]
    measure = "distance" if found.bits else "cosine"
    return f"and {count:,} more at {measure} {closeness(found.queries[path][-1], found)}" if count else ""


def closeness(hit: Hit, found: Found) -> str:
    """Distance or cosine of a hit."""
    return str(hit.closeness) if found.bits else f"{hit.closeness:.4f}"


def as_json(found: Found, bundle: Bundle, index: Path) -> dict[str, Any]:
    """The same as an object."""
    measure = "distance" if found.bits else "cosine"
    return {
        "bundle": bundle.name,
        "fingerprint": bundle.fingerprint,
        "index": str(index),
        "images": found.rows,
        "bits": found.bits,
        "index_type": found.kind,
        "settings": found.settings,
        "queries": [
            {
                "path": path,
                "hidden": found.hidden[path],
                "results": [
                    {
                        "rank": rank,
                        measure: hit.closeness,
                        "path": hit.path,
                        "width": hit.size[0],
                        "height": hit.size[1],
                        "row": hit.row,
                        "state": hit.state,
                    }
                    for rank, hit in enumerate(hits, 1)
                ],
            }
            for path, hits in found.queries.items()
        ],
        "unreadable": [{"path": bad.path, "reason": bad.reason} for bad in found.unreadable],
    }
