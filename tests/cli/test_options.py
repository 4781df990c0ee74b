"""What all verbs share: bounds of options, log lines, readers that go away."""

from __future__ import annotations

import io
import logging
import subprocess
import sys

from bench.cli.options import _StderrHandler
from tests.cli.test_app import ROOT


def test_more_threads_than_cores_are_warned_of(tiny):
    said = "warning: --jobs 1 with --threads 8 on 2 cores: they will wait for each other\n"
    assert tiny("plan", "--threads", "8").err == said
    assert tiny("plan", "--jobs", "4").err.startswith("warning: --jobs 4 with --threads 1 on 2 cores")


def test_a_reader_that_has_gone_is_no_fault():
    command = f"{sys.executable} -m bench ls losses; echo $? >&2"
    # The reader ends before anything is written to it.
    done = subprocess.run(
        ["bash", "-c", f"({command}) | true"], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stderr.strip() == "0"


def test_a_log_that_nobody_can_read_any_more_ends_no_run(monkeypatch):
    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", Gone())
    _StderrHandler().emit(logging.makeLogRecord({"msg": "said"}))


def test_without_stderr_nothing_is_said_where_results_go(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stderr", None)
    _StderrHandler().emit(logging.makeLogRecord({"msg": "said"}))
    assert capsys.readouterr().out == ""
