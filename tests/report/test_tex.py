"""Tables in LaTeX, whatever the names are."""

import re
import shutil
import subprocess

import pytest

from bench.report.tables import tex
from tests.report.tables import HOSTILE, hostile_records, latex


@pytest.mark.parametrize("name", HOSTILE)
def test_latex_survives_any_name(make_record, name):
    text = latex(hostile_records(make_record, name))
    assert text.isascii()
    body = [line.removesuffix(r" \\") for line in text.splitlines() if line.endswith(r" \\")]
    assert {len(re.findall(r"(?<!\\)&", line)) for line in body} == {9, 6, 7}
    commands = r"\\[&%$#_{}]|\\(?:text[a-z]+|dots|allowbreak)\{\}|\\['^~\"`=.urHvc]\{[A-Za-z]\}"
    escapes = rf"{commands}|\{{[][*]?\}}|\$(?:\\[A-Za-z]+|-)\$"
    bare = "".join(re.sub(escapes, "", line).replace(" & ", "") for line in body)
    assert not set(bare) & set(r"\#$%&_{}~^<>[]*")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("é", r"\'{e}"),
        ("e\u0301", r"\'{e}"),
        ("ř ß", r"\v{r} \ss{}"),
        ("Ω λ", r"$\Omega$ $\lambda$"),
        ("中 😀", "(U+4E2D) (U+1F600)"),
        ("a|b", r"a\textbar{}b"),
        ("a-b --x ---", "a-b -{}-x -{}-{}-"),
        ('"q"', "''q''"),
        (r"\x{}", r"\textbackslash{}x\{\}"),
    ],
)
def test_what_latex_writes(text, expected):
    assert tex.escape(text) == expected


def compile_latex(folder, text):
    preamble = rf"\documentclass{{article}}\usepackage{{{','.join(tex.PACKAGES)}}}"
    (folder / "table.tex").write_text(text)
    document = preamble + r"\begin{document}\input{table}\end{document}"
    (folder / "main.tex").write_text(document)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


needs_latex = pytest.mark.skipif(
    shutil.which("pdflatex") is None,
    reason="no pdflatex; install texlive-latex-base and texlive-latex-recommended",
)


@pytest.mark.slow
@needs_latex
def test_latex_compiles_whatever_the_names_are(make_record, tmp_path):
    everything = "".join(map(chr, [*range(32, 127), *range(160, 1424), *range(0x2010, 0x2060)]))
    names = [*HOSTILE, *(everything[start : start + 60] for start in range(0, len(everything), 60))]
    records = [one for name in names for one in hostile_records(make_record, name)]
    # Every data set is a group with its own tables, so this is also about many floats.
    records += [make_record(dataset=name, bits=bits) for name in names[:20] for bits in (16, 32)]
    compile_latex(tmp_path, latex(records))


@pytest.mark.slow
@needs_latex
def test_tables_stay_within_the_width_of_the_text(run_records, make_record, tmp_path):
    wide = make_record("a_student_with_a_long_name", "word" * 40, params={"student": {"a": 1}})
    text = latex([*run_records, *hostile_records(make_record, "word" * 40), wide])
    assert "Overfull" not in compile_latex(tmp_path, text)


@pytest.mark.slow
@needs_latex
def test_a_long_table_goes_over_several_pages(make_record, tmp_path):
    students = [make_record(f"student_{i}", bits=16, seed=seed) for i in range(90) for seed in range(2)]
    text = latex(students)
    assert text.count("(continued)") == 3 * 2  # as accurate as each other, all are on both fronts
    log = compile_latex(tmp_path, text)
    assert "Overfull" not in log
    assert "Float too large" not in log


def test_constant_columns_of_latex_become_a_note(make_record):
    text = latex([make_record(bits=32, loss=loss) for loss in ("csq", "dch")])
    assert "In all rows: bits = 32; seeds = 1;" in text
