"""How metrics, units and conditions are put into words for a reader."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from bench.errors import escaped
from bench.results import catalogue
from bench.results.catalogue import title
from bench.results.records import Measured
from bench.results.sides import SIDES, apart
from bench.types.sizes import ImageSize

#: Characters of a value in a name; structured values have no end.
_LONGEST = 80
#: In place of a code length, where there is no code.
FLOAT = "float"
#: By what embeddings are compared.
SIMILARITIES = {"cosine": "cosine", "l2": "Euclidean distance"}
#: In place of a method, and of what nobody knows, where something was measured elsewhere.
ELSEWHERE, UNKNOWN = "measured elsewhere", "–"

TIES = {
    "expected": "items at equal distance in random order (exact expectation)",
    "index": "items at equal distance in database order",
    "best": "relevant items first among equal distances",
    "worst": "relevant items last among equal distances",
}

_SHORT_TIES = {
    "expected": "ties in random order",
    "index": "ties in database order",
    "best": "relevant items first among ties",
    "worst": "relevant items last among ties",
}

NORMALIZERS = {
    "relevant": "divided by the number of relevant items",
    "min": "divided by the number of relevant items, at most k",
    "hits": "divided by the number of relevant items among the first k",
}

_FACTORS = {"G": 1e9, "M": 1e6}

#: Student's t of two numbers has one degree of freedom: 12.71 / sqrt(2) against 4.30 / sqrt(3) of three.
TWO_SEEDS = "two seeds cannot tell: their 95 % interval is 3.6 times as wide as one of three seeds"
#: Of intervals that are over different things.
UNLIKE = "Intervals over seeds and over queries compare only where no other seed changes one of the two rows."

#: Marks behind numbers that are not to be relied on.
UNSTEADY, PARTIAL, WARNED = "†", "‡", "§"
#: Mark -> what it says, what to do, what it means on a front.
_DOUBTS = {
    UNSTEADY: (
        "unsteady timings",
        "take them again on a quiet machine (run --overwrite unsteady)",
        "the front may change when they are measured again",
    ),
    PARTIAL: (
        "not fully counted, at least so many",
        "the record names the operators that have no count",
        "the row may cost more than it seems to",
    ),
    WARNED: (
        "the record carries a warning",
        "read it before you quote the number",
        "the row may not deserve its place",
    ),
}


def one_line(text: object) -> str:
    """``text`` without line breaks and control characters, so that it fits any cell or label."""
    line = str(text)
    if not line.isprintable():
        line = "".join(c if c.isprintable() else " " for c in line)
    return " ".join(line.split())


def natural(text: str) -> list[tuple[bool, int, str]]:
    """A key by which 8 bit comes before 16 bit."""
    parts = re.findall(r"\d+|\D+", text)
    return [(not part.isdecimal(), int(part) if part.isdecimal() else 0, part) for part in parts]


def brief(value: object) -> str:
    """A value in a few words; hashes are told apart by their first characters."""
    text = "none" if value is None else one_line(value)
    return text if len(text) <= 48 else f"{text[:47]}…"


def in_markdown(text: str) -> str:
    """Escape what Markdown, HTML or a reader of either would interpret; underscores inside words stay."""
    return re.sub(r"[\\`*~<>|\[\]&]|\b_|_\b", r"\\\g<0>", escaped(text))


def ranking_rule(name: str) -> tuple[str, str] | None:
    """Tie rule and normaliser of a mAP's name, ``map@all:expected:relevant``; None if it has none."""
    base, _, rule = apart(name)[0].partition(":")
    ties, colon, normalizer = rule.partition(":")
    return (ties, normalizer) if base.partition("@")[0] == "map" and colon else None


def title_beside(name: str, main: str | None) -> str:
    """A metric's title, with how ties were ordered where that is not as in the accuracy ``main``."""
    known, rule, usual = title(name), ranking_rule(name), ranking_rule(main or "")
    if not rule or apart(name)[0] == main:
        return known
    words = [f"{rule[0]} ties"]
    if not usual or usual[1] != rule[1]:
        words.append(f"÷ {rule[1]}")
    return f"{known} ({', '.join(words)})"


def definition(name: str) -> str:
    """What the metric called ``name`` means, in one sentence; empty where its name says it all."""
    base, _, rest = apart(name)[0].partition("@")
    side = _side(name)
    if base != "map":
        entry = catalogue.entry(name)
        known = entry.definition.replace("{title}", title(name)) if entry else ""
        return known or side_definition(name)
    ties, normalizer = ranking_rule(name) or ("", "")
    score = f"mean average precision over {_ranked(rest)}"
    parts = [side, score, TIES.get(ties, ""), NORMALIZERS.get(normalizer, "")]
    return f"{title(name)} ({name}): {', '.join(filter(None, parts))}."


def short_definition(name: str) -> str:
    """The same where there is little room."""
    rule = ranking_rule(name)
    if rule is None:
        entry = catalogue.entry(name)
        return (entry and entry.short_definition) or definition(name)
    divided = "" if rule[1] == "relevant" else f", {NORMALIZERS.get(rule[1], rule[1])}"
    # What mAP is, whoever knows of sides does; of which images is the news, and charts have two lines.
    score = _side(name) or f"mean average precision over {_ranked(name.partition('@')[2])}"
    return f"{title(name)}: {score}, {_SHORT_TIES.get(rule[0], rule[0])}{divided}."


def side_definition(name: str) -> str:
    """What one side of seen and unseen classes is asked; empty for other metrics."""
    return f"{title(name)}: {side}." if (side := _side(name)) else ""


def _ranked(rest: str) -> str:
    """How far a mAP looks, by what follows the ``@`` of its name."""
    cut = rest.partition(":")[0]
    return "the whole database" if cut == "all" else f"the first {cut} items"


def _side(name: str) -> str:
    """Which queries are asked, and of what, where that is not all of all."""
    side = apart(name)[1]
    return SIDES[side][1] if side in SIDES else side


def doubt(metric: Measured) -> str:
    """The mark behind a number: its timing was unsteady, or not everything was counted; usually empty."""
    if metric.detail.get("noisy"):
        return UNSTEADY
    return PARTIAL if metric.detail.get("fully_counted") is False else ""


def doubts(marks: Iterable[str], *, on_front: bool = False) -> list[str]:
    """What ``marks`` say, each once, with a cure or with what they mean for a front."""
    present = set(marks)
    return [
        f"{mark}: {said}; {risk if on_front else cure}."
        for mark, (said, cure, risk) in _DOUBTS.items()
        if mark in present
    ]


def said(mark: str) -> str:
    """What a mark says, in a few words."""
    return _DOUBTS[mark][0]


def advice(mark: str) -> str:
    """What a mark says and what to do, without the mark."""
    return "; ".join(_DOUBTS[mark][:2])


def unit(name: str, own: str, values: Iterable[float]) -> tuple[float, str]:
    """One unit for a whole column or axis of what is recorded in ``own``: what to divide by, and its name."""
    entry = catalogue.entry(name)
    if entry is None or not entry.prefixes:
        return 1.0, own
    largest = max(values, default=0.0)
    prefix = next((one for one in entry.prefixes if largest >= _FACTORS[one]), entry.prefixes[-1])
    return _FACTORS[prefix], prefix


def amount(number: str, unit: str, name: str) -> str:
    """So much of a cost: ``4.10 M MACs``, ``16 bytes per code``."""
    per = "per" if catalogue.base_name(name) == "code_bytes" else ""
    return " ".join(filter(None, [number, unit, per, title(name)]))


def conditions(metric: Measured) -> str:
    """What a timed number was measured under: ``cuda, bf16, 8 threads``; empty for numbers of other kinds."""
    # Details of other metrics have names of their own for other things: a curve has a list as "precision".
    detail = metric.detail if metric.noise == "timed" else {}
    parts = [detail.get("device"), detail.get("precision"), threads(detail.get("threads"))]
    return ", ".join(one_line(part) for part in parts if isinstance(part, str) and part)


def threads(number: object) -> str:
    """``1 thread``, ``8 threads``; empty where nobody knows."""
    return f"{number} thread{'' if number == 1 else 's'}" if isinstance(number, int) and number else ""


def pixels(sizes: Iterable[ImageSize]) -> str:
    """Sizes of inputs: ``32 px``, ``32, 64 px``, ``320x160 px``."""
    return f"{', '.join(map(str, sizes))} px"


def assignments(values: Mapping[str, Any]) -> str:
    """``key=value`` pairs, in the order given; long hashes are cut."""
    return ", ".join(f"{key}={_value(value)}" for key, value in values.items())


def decimals(values: Iterable[float]) -> int:
    """Decimal places that leave the smallest of ``values`` three significant digits, four at most."""
    smallest = min((abs(value) for value in values if value), default=1.0)
    return min(4, max(0, 2 - math.floor(math.log10(smallest))))


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    text = one_line(value)
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return re.sub(r"^(sha256:)?([0-9a-f]{12})[0-9a-f]{4,}$", r"\1\2", text)
