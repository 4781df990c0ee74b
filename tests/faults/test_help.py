"""``--help`` of every verb says what it may end with, and so does the README of all of them."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench import errors
from bench.cli import app, exit_codes
from bench.comparison import verdicts

README = Path(__file__).parents[2] / "README.md"
VERBS = dict(exit_codes.verbs(app.cli))


def codes_in(text: str) -> list[int]:
    """The numbers of the sentence that begins with ``Exit codes:``, each before what it means."""
    sentence = re.search(r"Exit codes: ((?:[^.]|\.\d)+)\.", " ".join(text.split()))
    assert sentence, text
    return [int(code) for code in re.findall(r"(?:^|, |and )(\d+)(?= [A-Za-z])", sentence[1])]


@pytest.mark.parametrize("name", VERBS)
def test_help_lists_the_exit_codes_of_a_verb(name: str) -> None:
    shown = CliRunner().invoke(app.cli, [*name.split(), "--help"])
    assert shown.exit_code == 0
    assert codes_in(shown.output) == list(exit_codes.of_verb(name))


def test_every_verb_of_the_table_is_there() -> None:
    assert set(exit_codes.OF_VERBS) <= set(VERBS)
    assert {"run", "check", "data", "data prepare", "data check", "verify"} <= set(VERBS)


def test_readme_and_errors_list_all_of_them() -> None:
    every = sorted({code for name in VERBS for code in exit_codes.of_verb(name)})
    assert every == [0, 1, 2, 3, 4, 129, 130, 143]
    assert sorted(codes_in(README.read_text())) == every
    listed = re.search(r"Exit codes: (.*?)\. Only", " ".join(str(errors.__doc__).split()))
    assert listed
    assert sorted(map(int, re.findall(r"\b\d+\b", listed[1]))) == every


def test_no_error_has_another_one() -> None:
    kinds = [kind for kind in vars(errors).values() if inspect.isclass(kind)]
    of_errors = {kind.exit_code for kind in kinds if issubclass(kind, errors.BenchError)}
    told = {code for name in VERBS for code in exit_codes.of_verb(name)}
    assert {1, 2, 4} == of_errors <= told
    judging = inspect.getsource(verdicts.Check)
    assert {0, *map(int, re.findall(r"\b\d+(?= if self)", judging))} <= set(exit_codes.of_verb("check"))


@pytest.mark.parametrize("name", [name for name in VERBS if name != "data"])
def test_a_verb_returns_none_that_it_does_not_list(name: str) -> None:
    """The numbers behind ``return`` in its file, those of a choice between two as well."""
    callback = VERBS[name].callback
    assert callback is not None
    source = ast.parse(inspect.getsource(inspect.unwrap(callback)).lstrip())
    returned = {
        part.value
        for statement in ast.walk(source)
        if isinstance(statement, ast.Return) and statement.value
        for part in [statement.value, *vars(statement.value).values()]
        if isinstance(part, ast.Constant) and type(part.value) is int
    }
    assert returned <= set(exit_codes.of_verb(name))
    if 1 in returned:
        assert 1 in exit_codes.OF_VERBS[name], "what 1 means"
