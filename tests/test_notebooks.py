"""Notebooks run from top to bottom, are kept without outputs, and hold no logic of their own."""

from __future__ import annotations

import ast
from pathlib import Path

import nbformat
import pytest

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


@pytest.fixture(params=NOTEBOOKS, ids=lambda path: path.stem)
def notebook(request):
    return nbformat.read(request.param, as_version=4)


def code(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_there_are_notebooks():
    assert NOTEBOOKS


def test_outputs_are_stripped(notebook):
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert not cell.get("execution_count")


def test_what_they_compute_is_in_the_library(notebook):
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.BinOp)
    for source in code(notebook):
        assert not [node for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)], source


@pytest.mark.slow
def test_they_run_and_answer(notebook):
    from nbclient import NotebookClient

    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(FOLDER)}}).execute()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs, cell.source
