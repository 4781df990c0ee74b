"""The verdict as text, JSON, JUnit and Markdown, whatever names there are."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from bench.comparison import check_text
from bench.comparison.check import check
from bench.comparison.verdicts import Limits
from tests.comparison.gated import HOSTILE, failed, results
from tests.comparison.judged import WIDE, cells, folder


def test_hostile_names_stay_text(baseline):
    new = [record for record in baseline.records if record.cell.loss != "dch"] + [
        failed("dch", s) for s in range(3)
    ]
    found = check(baseline, results(new, name=HOSTILE))
    suite = ElementTree.fromstring(check_text.junit(found))
    assert (suite.get("failures"), suite.get("tests")) == ("1", "10")
    assert HOSTILE in suite.find(".//failure").get("message")
    (row,) = [
        line for line in check_text.markdown(found).splitlines() if "onerror" in line and line.startswith("|")
    ]
    assert "<img" not in row.replace("\\<", "")
    assert row.replace("\\|", "").count("|") == 11
    assert json.loads(check_text.as_json(found))["exit_code"] == 3


def test_more_than_a_metric_can_fall_is_no_number():
    found = check(folder(cells(WIDE[:2]), "base"), folder(cells(WIDE[1::-1]), "new"), Limits(weak=True))
    (one,) = (finding for finding in found.findings if finding.kind == "seeded")
    assert (one.verdict, one.seen, one.any_fall) == ("within noise", None, True)
    assert one.allowed > one.baseline
    text = check_text.text(found)
    (row,) = (line for line in text.splitlines() if "within noise  " in line)
    assert " any         none  within noise  " in row
    assert "\nany: more is allowed than the metric could fall" in text
