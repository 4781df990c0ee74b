"""What the program prints reaches no terminal that acts on it, and a stream that takes nothing is told of."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from bench.cli import main
from bench.cli.saying import say
from bench.errors import UsageError

#: Clears the screen, turns the direction of what follows, breaks a line for some readers, half of a pair.
NASTY = "\x1b[2Jx\u202ey\u2028z\udc80"


@pytest.mark.parametrize("arguments", [
    ["run", "--grid", f"{NASTY}.yaml"],
    ["report", NASTY],
    ["check", "--baseline", NASTY, NASTY],
    ["compare", NASTY, NASTY],
    ["evaluate", f"{NASTY}.npz"],
    ["measure", NASTY],
    ["ls", NASTY],
    ["ls", "losses", NASTY],
    [NASTY],
    ["run", f"--{NASTY}"],
    ["run", "--device", NASTY],
    ["data", "prepare", NASTY],
    ["search", NASTY, NASTY, "--index", NASTY],
    ["export", NASTY, "out"],
])  # fmt: skip
def test_what_a_user_gave_is_escaped(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    for text in capsys.readouterr():
        assert text.replace("\n", "").isprintable()


def test_log_lines_are_escaped(capsys):
    main(["ls", "losses"])  # sets up the log
    logging.getLogger("bench.x").warning("%s", NASTY)
    assert capsys.readouterr().err == "\\x1b[2Jx\\u202ey\\u2028z\\udc80\n"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no full device")
def test_a_full_stream(capsys, monkeypatch):
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stderr", full)
        say("nobody can read this", err=True)
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(UsageError, match="standard output: cannot write .No space left on device."):
            say("nor this")
        monkeypatch.undo()
        with pytest.raises(OSError, match="No space left"):
            full.close()


@pytest.mark.parametrize(
    ("stream", "code"), [("1>/dev/full", 2), ("2>/dev/full", 0), ("1>&-", 0), ("2>&-", 0)]
)
def test_of_a_command(stream, code, tmp_path):
    command = f'"{sys.executable}" -m bench ls losses {stream}'
    ended = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
    assert ended.returncode == code
    assert "Traceback" not in ended.stderr
    assert len(ended.stderr.splitlines()) == (code == 2)


@pytest.mark.parametrize("lines", [1, 100_000])
def test_who_has_gone_changes_no_verdict(lines):
    """``check ... | head`` must not be green, whatever it has found."""
    said = f"'verdict\\n' * {lines}"
    program = f"import sys; from bench.cli.saying import say; say({said}); say('more'); sys.exit(3)"
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen([sys.executable, "-c", program], stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        _, complaint = process.communicate(timeout=60)
    assert (process.returncode, complaint) == (3, b"")
