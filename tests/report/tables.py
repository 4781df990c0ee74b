"""Tables of records."""

from bench.report.tables import text as tables
from bench.results.folder import Results
from bench.results.fronts import front_of
from bench.results.records import Failure
from bench.results.summary import summarise

HOSTILE = [
    "a|b",
    "_x_ *y* `z`",
    r"50%&#${}~^\cmd",
    "<script>alert(1)</script>",
    "[a](http://b)",
    "=1+2",
    "x\ny\x00",
    'say "no" -- or --- `not`',
    "é ế Ω λ 中文 😀 ﬁ ＝ \u200d “x” – — …",
    r"\input{/etc/passwd}",
    "word" * 40,
]


def summary_of(records, missing=()):
    return summarise(Results(None, "fashion", [], records, list(missing)))


def fronts_of(summary, pairs=(("map", "macs"), ("map", "latency_ms"))):
    return {
        group.slug: [one for pair in pairs if (one := front_of(group, *pair, 0.02))]
        for group in summary.groups
    }


def markdown(records, missing=()):
    summary = summary_of(records, missing)
    return tables.markdown(summary, fronts_of(summary))


def latex(records, missing=()):
    summary = summary_of(records, missing)
    return tables.latex(summary, fronts_of(summary))


def hostile_records(make_record, name):
    error = Failure(type="E", stage="distill", message=name)
    failed = make_record(name, status="failed", error=error, dataset=name)
    return [make_record(name, loss=name), make_record(name, method=name, loss=name, bits=16), failed]
