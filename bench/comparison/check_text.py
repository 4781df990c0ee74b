"""The verdict of the gate for people, for pull requests, and for CI servers."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import Counter
from xml.etree import ElementTree

from tabulate import tabulate

from bench.comparison.verdicts import BAD, GIVEN, JUDGED, Check, Finding, Verdict
from bench.errors import escaped

#: Worst first.
ORDER: tuple[Verdict, ...] = (*BAD, "not judged", "improved", "within noise", "equal", "absent")
_HEADS = ("configuration", "seeds", "metric", "baseline", "now", "change", "allowed", "would see", "verdict",
          "why")  # fmt: skip


def text(check: Check) -> str:
    """The answer in one sentence, a line for every accuracy and whatever is not as it was, and remarks."""
    parts = [answer(check)]
    if rows := _rows(check):
        parts.append(tabulate(rows, _HEADS, tablefmt="simple", disable_numparse=True, colalign=_ALIGN))
    parts += ["\n".join(_remarks(check))] if _remarks(check) else []
    return "\n\n".join(parts)


def markdown(check: Check) -> str:
    """The same for a pull request or a job summary."""
    parts = [f"### {_escaped(answer(check))}"]
    if rows := _rows(check):
        cells = [[_escaped(cell) for cell in row] for row in rows]
        parts.append(tabulate(cells, _HEADS, tablefmt="github", disable_numparse=True, colalign=_ALIGN))
    parts += ["\n".join(f"- {_escaped(line)}" for line in _remarks(check))] if _remarks(check) else []
    return "\n\n".join(parts) + "\n"


def as_json(check: Check) -> str:
    """Everything that was judged, and the exit code."""
    return json.dumps({"exit_code": check.exit_code, **dataclasses.asdict(check)}, indent=1, allow_nan=False)


def junit(check: Check) -> bytes:
    """JUnit XML: a test case for every metric of every configuration.

    What had to be judged and could not be is an error, so that no server shows it as passed.
    """
    suite = ElementTree.Element(
        "testsuite",
        name=f"hash-pareto check {check.baseline}",
        tests=str(len(check.findings)),
        failures=str(len(check.bad)),
        errors=str(len(check.open)),
        skipped=str(len(check.of("not judged", "absent")) - len(check.open)),
    )
    for finding in check.findings:
        owner = f"{finding.dataset}: {finding.configuration}" if finding.dataset else finding.configuration
        case = ElementTree.SubElement(
            suite, "testcase", classname=owner, name=finding.metric or "configuration"
        )
        if finding.verdict in BAD:
            ElementTree.SubElement(case, "failure", type=finding.verdict, message=_sentence(finding))
        elif finding.open:
            ElementTree.SubElement(case, "error", type=finding.verdict, message=_sentence(finding))
        elif finding.verdict in {"not judged", "absent"}:
            ElementTree.SubElement(case, "skipped", message=finding.reason)
        elif finding.kind == "seeded":
            seen = f"; a fall of {_seen(finding)} would have been seen" if finding.seen is not None else ""
            ElementTree.SubElement(case, "system-out").text = f"{finding.verdict}{seen}"
    for element in suite.iter():  # XML has no control characters, not even as an escape of its own
        element.attrib = {name: escaped(value) for name, value in element.attrib.items()}
        element.text = escaped(element.text or "") or None
    ElementTree.indent(suite)
    document: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def answer(check: Check) -> str:
    """What came out: what fell furthest, what could not be judged, or how much is equal, and within noise."""
    where = f"{check.candidate} against {check.baseline}"
    if bad := check.bad:
        numbers = Counter(finding.verdict for finding in bad[1:])
        others = "".join(f", {numbers[one]} more {_MORE[one]}" for one in BAD if numbers[one])
        return f"Worse: {_sentence(bad[0])}{others} ({where})."
    judged = check.of(*JUDGED)
    if not judged:
        return f"Nothing to compare: no number of {where} could be judged."
    if left := check.open:
        count = f"{len(left)} of {len(judged) + len(left)} numbers"
        return f"Cannot be judged: {count} of {where}, the first {_sentence(left[0])}."
    changed = sum(finding.changed_params for finding in judged)
    warned = any("new warning" in note for note in check.notes)
    if len(check.of("equal")) == len(check.findings) and not changed and not warned:
        return f"Fine: all {len(judged)} numbers of {where} are as they were."
    words: dict[Verdict, str] = {"improved": "better than chance explains"}
    orders: tuple[Verdict, ...] = ("equal", "within noise", "improved", "not judged", "absent")
    counts = {one: len(check.of(one)) for one in orders}
    said = ", ".join(f"{number} {words.get(one, one)}" for one, number in counts.items() if number)
    other = "; parameters differ, see below" if changed else ""
    other += "; records carry new warnings, see below" if warned else ""
    return f"Fine: {len(check.findings)} numbers of {where}: {said}{_sight(judged)}{other}."


def _sight(judged: list[Finding]) -> str:
    """What would have been seen in all accuracies that are not equal."""
    noisy = [one for one in judged if one.kind == "seeded" and one.verdict != "equal"]
    known = sorted((one for one in noisy if one.seen is not None), key=lambda one: one.seen or 0.0)
    falls = [f"{_seen(one)} of {name}" for name, one in {one.metric: one for one in known}.items()]
    parts = [f"; a fall of {' or '.join(falls)} would have been seen"] if falls else []
    if blind := sum(one.seen is None for one in noisy):
        parts.append(f"; in {blind} of them no fall is known to be seen")
    return "".join(parts)


def _sentence(finding: Finding) -> str:
    """``cukd_v1 · none · csq · 32 bit: map@all fell from 0.9812 to 0.9601 (allowed: 0.0130; ...)``."""
    owner, metric, reason = finding.configuration, finding.metric, finding.reason or finding.verdict
    if finding.verdict == "missing" or finding.baseline is None or finding.now is None:
        return f"{owner}{': ' + metric if metric else ''}: {reason}"
    before, now = _number(finding, finding.baseline), _number(finding, finding.now)
    if finding.kind == "exact":
        return f"{owner}: {metric} is {now} and was {before}"
    how = "fell" if finding.kind == "seeded" and finding.now < finding.baseline else "went"
    if finding.verdict != "not judged":
        reason = f"allowed: {_allowed(finding)}; {reason}"
    return f"{owner}: {metric} {how} from {before} to {now} ({reason})"


#: In the sentence of the answer.
_MORE = {"regression": "worse", "changed": "changed", "missing": "missing"}
_ALIGN = ("left", "right", "left", *["right"] * 5, "left", "left")


def _rows(check: Check) -> list[list[str]]:
    """Worst first; costs that are as they were, or that nobody could judge, are only counted."""
    shown = [
        one for one in check.findings if one.kind == "seeded" or one.open or one.verdict in {*BAD, "improved"}
    ]
    shown.sort(key=lambda one: ORDER.index(one.verdict))
    return [
        [
            f"{one.dataset}: {one.configuration}" if one.dataset else one.configuration,
            str(one.seeds or ""),
            one.metric,
            "" if one.baseline is None else _number(one, one.baseline),
            "" if one.now is None else _number(one, one.now),
            _change(one),
            _allowed(one),
            _seen(one),
            one.verdict,
            one.reason,
        ]
        for one in shown
    ]


def _remarks(check: Check) -> list[str]:
    counted = [
        ("exact", "equal", "exact numbers are equal"),
        ("timed", "equal", "timings are the same measurement"),
        ("timed", "within noise", "timings are within their ratio"),
    ]
    lines = []
    for kind, verdict, words in counted:
        if number := sum(one.kind == kind and one.verdict == verdict for one in check.findings):
            lines.append(f"{number} {words}")
    reasons = Counter(
        f"not judged: {'timings' if one.kind == 'timed' else one.configuration}: {one.reason}"
        for one in check.of("not judged", "absent")
        if not one.open
    )
    lines += [f"{reason} ({count} times)" if count > 1 else reason for reason, count in reasons.items()]
    if any(one.kind == "seeded" and one.allowed is not None for one in check.findings):
        lines.append(
            "allowed: fall that the noise named explains but once in 1,000 runs, unless it was given; would "
            "see: smallest true fall that turns this gate red in 80 of 100 runs"
        )
    if any(one.any_fall for one in check.findings):
        lines.append("any: more is allowed than the metric could fall, so that no fall would be seen")
    if any(one.kind == "seeded" and "queries alone" in one.reason for one in check.findings):
        lines.append(
            "queries alone: how far seeds stray is not known, so that chance turns it red more often"
        )
    return lines + check.notes


def _number(finding: Finding, value: float) -> str:
    if finding.kind == "exact":
        return f"{value:,.12g}"
    return f"{value:.4f}" if not finding.unit else f"{value:.4g} {finding.unit}"


def _change(finding: Finding) -> str:
    if finding.baseline is None or finding.now is None:
        return ""
    change = finding.now - finding.baseline
    return "0" if change == 0 else f"{change:+,.12g}" if finding.kind == "exact" else f"{change:+.4f}"


def _allowed(finding: Finding) -> str:
    if finding.allowed is None:
        return ""
    if finding.any_fall:
        return "any"
    return f"x {finding.allowed:g}" if finding.kind == "timed" else _amount(finding, finding.allowed)


def _amount(finding: Finding, value: float) -> str:
    """A difference of an accuracy, in its unit."""
    return f"{value:.4f}" if not finding.unit else f"{value:.3g} {finding.unit}"


def _seen(finding: Finding) -> str:
    """The smallest fall that would have been seen, if any is known."""
    if finding.kind != "seeded" or finding.allowed is None:
        return ""
    if finding.seen is None:
        return "not known" if finding.reason == GIVEN else "none"
    return _amount(finding, finding.seen)


def _escaped(words: str) -> str:
    """What Markdown, HTML, GitHub's mentions or a reader of them would make something of."""
    return re.sub(r"[\\`*_~<>|\[\]#@]", r"\\\g<0>", escaped(words).replace("&", "&amp;"))
