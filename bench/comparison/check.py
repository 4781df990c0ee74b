"""The gate: has anything got worse than a baseline, beyond what chance explains?

What is exact must be equal. Accuracy must not fall by more than the noise that was measured in the baseline:
the spread of its seeds, or of its queries where it has one seed. Timings are judged on the hardware of the
baseline alone, by a rank test first and by a ratio then. Numbers that are equal, numbers within noise and
numbers that cannot be judged are three different things, and an accuracy that cannot be judged is not green.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.comparison.choosing import require_metric
from bench.comparison.judging import AccuracyJudge, accuracies, exact, timed
from bench.comparison.pairing import Pair, Pairing, pair
from bench.comparison.verdicts import JUDGED, Check, Finding, Limits, Verdict
from bench.errors import UsageError
from bench.results import wording
from bench.results.folder import Results
from bench.results.names import Names


def check(baseline: Results, candidate: Results, limits: Limits | None = None) -> Check:
    """Judge every configuration of ``baseline`` by what ``candidate`` has for it.

    Raises:
        UsageError: the baseline has no accuracy of a name in ``limits``.
    """
    limits = limits or Limits()
    for short in limits.metrics:
        _require(short, baseline, candidate)
    pairing = pair(baseline, candidate)
    wanted = [accuracies(one.base, limits) for one in pairing.pairs]
    judge = AccuracyJudge(baseline, candidate, sum(map(len, wanted)), limits)
    findings: list[Finding] = []
    for one, names in zip(pairing.pairs, wanted, strict=True):
        findings += [judge(one, name) for name in names]
        if limits.metrics and not names:
            findings.append(_open(one, f"has none of {', '.join(limits.metrics)}"))
        findings += exact(one)
        findings += timed(one, limits)
    excused = limits.allow_missing or not any(finding.verdict in JUDGED for finding in findings)
    findings += _gone(pairing, Names(baseline.records), excused=excused)
    findings += [
        Finding(name.dataset, str(name), "", "", "not judged", wording.one_line(reason))
        for name, reason in pairing.refused
    ]
    if candidate.missing and not limits.allow_missing:
        cells = f"{len(candidate.missing)} cells of its grid have no record yet"
        findings.append(Finding("", _path(candidate), "", "", "not judged", f"{cells}; run it to its end"))
    notes = [f"{_name(one)}: {note}" for one in pairing.pairs for note in _notes(one)]
    notes += [f"new, not judged: {name}" for name in pairing.added]
    if pairing.pairs and not any(wanted):
        notes.append("no accuracy was judged: the baseline has none")
    return Check(_path(baseline), _path(candidate), findings, notes)


def _require(name: str, baseline: Results, candidate: Results) -> None:
    """Refuse the name of an accuracy that the baseline does not have; one may have been left out of it."""
    try:
        require_metric(name, baseline.records, accuracy=True)
    except UsageError:
        require_metric(name, candidate.records, accuracy=True)
        if any(record.metric(name) for record in baseline.records):
            raise
        lacking = (
            f"{_path(baseline)} keeps nothing of '{wording.one_line(name)}', which {_path(candidate)} has"
        )
        raise UsageError(f"{lacking}; make it anew with: --update --metric {name}") from None


def _gone(pairing: Pairing, names: Names, *, excused: bool) -> Iterator[Finding]:
    """Configurations that had numbers and have none now; spare seeds of the baseline are no loss.

    Args:
        excused: whether those that nobody tried to run are no fault.
    """
    there = {names(one.base[0]) for one in pairing.pairs}
    there |= {gone.name for gone in pairing.gone if gone.status != "absent"}
    for gone in pairing.gone:
        absent = gone.status == "absent"
        if absent and gone.name in there:
            continue
        seeds = ", ".join(map(str, gone.seeds))
        reason = f"{'absent: ' if absent else ''}{gone.reason} (seed {seeds})"
        verdict: Verdict = "absent" if absent and excused else "missing"
        yield Finding(gone.name.dataset, str(gone.name), "", "", verdict, reason)


def _notes(one: Pair) -> list[str]:
    """What differs, and what records of the candidate warn of and none of the baseline does."""
    # How many seeds were compared stands beside every number.
    notes = [note for note in one.notes if "only in" not in note]
    known = {sentence for record in one.base for sentence in record.warnings}
    found = dict.fromkeys(sentence for record in one.new for sentence in record.warnings)
    warnings = (wording.one_line(sentence) for sentence in found if sentence not in known)
    return notes + [f"new warning: {sentence}" for sentence in warnings]


def _open(one: Pair, reason: str) -> Finding:
    return Finding(one.name.dataset, str(one.name), "", "", "not judged", wording.one_line(reason))


def _name(one: Pair) -> str:
    return f"{one.name.dataset}: {one.name}"


def _path(results: Results) -> str:
    return wording.one_line(results.folder)
