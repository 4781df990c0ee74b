"""The verdict of the gate for people, for pull requests, and for CI servers."""

from __future__ import annotations

import dataclasses
import json
import re
from xml.etree import ElementTree

from tabulate import tabulate

from bench.check import Check, Finding, Verdict

#: Worst first.
ORDER: tuple[Verdict, ...] = ("regression", "changed", "missing", "improved", "ok", "skipped")
_HEADS = ("configuration", "metric", "baseline", "now", "change", "allowed", "verdict", "why")


def text(check: Check) -> str:
    """The answer in one sentence, then a line for every accuracy and for whatever is not as it was."""
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
    """JUnit XML: a test case for every metric of every configuration."""
    bad = check.of("regression", "changed", "missing")
    suite = ElementTree.Element(
        "testsuite",
        name=f"hash-pareto check {check.baseline}",
        tests=str(len(check.findings)),
        failures=str(len(bad)),
        skipped=str(len(check.of("skipped"))),
        errors="0",
    )
    for finding in check.findings:
        owner = f"{finding.dataset}: {finding.configuration}" if finding.dataset else finding.configuration
        case = ElementTree.SubElement(
            suite, "testcase", classname=owner, name=finding.metric or "configuration"
        )
        if finding in bad:
            ElementTree.SubElement(case, "failure", type=finding.verdict, message=_sentence(finding))
        elif finding.verdict == "skipped":
            ElementTree.SubElement(case, "skipped", message=finding.reason)
    ElementTree.indent(suite)
    document: bytes = ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def answer(check: Check) -> str:
    """What came out, and the configuration and metric that fell furthest."""
    judged = check.of("ok", "improved", "regression", "changed")
    bad = [finding for verdict in ORDER[:3] for finding in check.of(verdict)]
    where = f"{check.candidate} against {check.baseline}"
    if not judged and check.exit_code == 4:
        return f"Nothing to compare: no number of {where} could be judged."
    if not bad:
        better = len(check.of("improved"))
        more = f", {better} of them better than chance explains" if better else ""
        return f"Fine: {len(judged)} numbers of {where} are as they were{more}."
    others = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
    return f"Worse: {_sentence(bad[0])}{others} ({where})."


def _sentence(finding: Finding) -> str:
    """``cukd_v1 · none · csq · 32 bit: map@all fell from 0.9812 to 0.9601, allowed 0.0130``."""
    owner, metric = finding.configuration, finding.metric
    if finding.verdict == "missing" or finding.baseline is None or finding.now is None:
        return f"{owner}{': ' + metric if metric else ''}: {finding.reason or finding.verdict}"
    before, now = _number(finding, finding.baseline), _number(finding, finding.now)
    if finding.kind == "exact":
        return f"{owner}: {metric} is {now} and was {before}"
    how = "fell" if finding.kind == "seeded" and finding.now < finding.baseline else "went"
    return f"{owner}: {metric} {how} from {before} to {now} (allowed: {_allowed(finding)}; {finding.reason})"


_ALIGN = ("left", "left", "right", "right", "right", "right", "left", "left")


def _rows(check: Check) -> list[list[str]]:
    """Worst first; costs that are as they were are only counted."""
    shown = [one for one in check.findings if one.kind == "seeded" or one.verdict not in {"ok", "skipped"}]
    shown.sort(key=lambda one: ORDER.index(one.verdict))
    return [
        [
            f"{one.dataset}: {one.configuration}" if one.dataset else one.configuration,
            one.metric,
            "" if one.baseline is None else _number(one, one.baseline),
            "" if one.now is None else _number(one, one.now),
            _change(one),
            _allowed(one),
            one.verdict,
            one.reason,
        ]
        for one in shown
    ]


def _remarks(check: Check) -> list[str]:
    quiet = [one for one in check.findings if one.kind in {"exact", "timed"} and one.verdict == "ok"]
    lines = []
    for kind, words in (("exact", "exact numbers are equal"), ("timed", "timings are within their ratio")):
        if number := sum(one.kind == kind for one in quiet):
            lines.append(f"{number} {words}")
    reasons: dict[str, int] = {}
    for one in check.of("skipped"):
        if one.kind != "seeded":
            what = "timings" if one.kind == "timed" else one.configuration
            reasons[f"not judged: {what}: {one.reason}"] = (
                reasons.get(f"not judged: {what}: {one.reason}", 0) + 1
            )
    lines += [f"{reason} ({count} times)" if count > 1 else reason for reason, count in reasons.items()]
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
    return f"x {finding.allowed:g}" if finding.kind == "timed" else f"{finding.allowed:.4f}"


def _escaped(words: str) -> str:
    """What Markdown, HTML or GitHub's mentions would make something of."""
    return re.sub(r"[\\`*_~<>|\[\]#@]", r"\\\g<0>", words.replace("&", "&amp;"))
