"""What is said of how true the systems are to their papers: complete, and of things that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "bench/methods/README.md"
PARTS = [
    *("architecture", "teacher", "loss", "data", "augmentation", "schedule", "evaluation", "ablation"),
]
VERDICTS = ["", "as published", "differs, because", "not here, because"]
SYSTEMS = {
    "Context-unaware distillation",
    "Data-efficient ranking distillation",
    "Capacity dynamic distillation",
    "Multi-teacher distillation with whitening",
    "Hashing losses",
}


def tables():
    """System -> lines of its table, each a list of cells."""
    text = README.read_text().partition("## As published, and not\n")[2].partition("\n## ")[0]
    sections = re.split(r"^### (.*)$", text, flags=re.MULTILINE)[1:]
    return {
        system: [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in section.splitlines()
            if line.startswith("|") and not set(line) <= set("|- ")
        ]
        for system, section in zip(sections[::2], sections[1::2], strict=True)
    }


def test_every_system_is_there():
    assert tables().keys() == SYSTEMS


@pytest.mark.parametrize("system", sorted(SYSTEMS))
def test_every_part_of_a_system_is_as_published_or_says_why_not(system):
    head, *lines = tables()[system]
    assert head == VERDICTS
    assert [line[0] for line in lines] == PARTS
    for part, *cells in lines:
        assert len(cells) == 3, part
        assert any(cells), f"nothing is said of the {part}"


def test_links_lead_to_files():
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", README.read_text()):
        assert (README.parent / target).resolve().exists(), target


@pytest.mark.parametrize("system", sorted(SYSTEMS - {"Hashing losses"}))
def test_what_is_as_published_by_a_parameter_is_set_in_the_grid_of_the_papers(system):
    grid = (README.parents[1] / "grids/papers.yaml").read_text()
    published = " ".join(cells[1] for cells in tables()[system])
    assert not [name for name in re.findall(r"`(\w+: [\w.]+)`", published) if name not in grid]
