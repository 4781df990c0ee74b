"""The verdict as text, JSON, JUnit and Markdown, whatever names there are."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from bench.comparison import check_text
from bench.comparison.check import check
from tests.comparison.gated import HOSTILE, failed, results


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
