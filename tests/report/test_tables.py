import csv
import importlib.util
import io
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.report.charts.points import Axis
from bench.report.tables import columns, tex
from bench.report.tables import text as tables
from bench.report.tables.cells import CellTable
from bench.report.tables.columns import Scale
from bench.results.folder import Results
from bench.results.fronts import front_of
from bench.results.names import Names
from bench.results.records import Failure, Measured
from bench.results.summary import summarise

GOLDEN = Path(__file__).parents[1] / "golden"
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


@pytest.mark.parametrize(("name", "write"), [("report_table.md", markdown), ("report_table.tex", latex)])
def test_tables_are_as_reviewed(run_records, name, write):
    assert write(run_records, missing=["fashion_mnist__cukd_v2__s1"]) == (GOLDEN / name).read_text()


# -- Every cell ----------------------------------------------------------------------------------


def test_csv_has_every_cell_at_full_precision(run_records):
    lines = list(csv.DictReader(io.StringIO(CellTable(run_records).csv())))
    assert [line["status"] for line in lines] == [record.status for record in run_records]
    for line, record in zip(lines, run_records, strict=True):
        assert {name: float(line[name]) for name in record.metrics} == {
            name: metric.value for name, metric in record.metrics.items()
        }
    assert lines[-2]["error_message"] == "loss is not finite at step 12"
    assert lines[-2]["map@all:expected:relevant"] == ""


def test_warnings_are_told_beside_the_numbers(make_record):
    two = ["12 of 90 queries have an equal picture in the database", "8 codes are equal"]
    warned = [make_record(seed=seed).model_copy(update={"warnings": two[: seed + 1]}) for seed in range(2)]
    every = [*warned, make_record(seed=2)]
    lines = list(csv.DictReader(io.StringIO(CellTable(every).csv())))
    assert [line["warnings"] for line in lines] == [f"{two[0]}.", f"{two[0]}. {two[1]}.", ""]
    for told in (markdown(every), latex(every)):
        assert "Warning, 2 of 3 cells: 12 of 90 queries have an equal picture in the database." in told
        assert "Warning, 1 of 3 cells: 8 codes are equal." in told


def test_a_row_that_is_warned_of_is_marked_by_its_accuracies(make_record):
    warned = make_record(loss="dch").model_copy(update={"warnings": ["the codes have collapsed"]})
    rows = [make_record(), warned]
    for text, mark, cell in ((markdown(rows), "§", "| dch "), (latex(rows), r"\S{}", "& dch &")):
        line = next(line for line in text.splitlines() if cell in line)
        assert line.count(mark) == 3, "the accuracy, and the best and the worst order of its ties"
        assert "the record carries a warning; read it before you quote the number" in text
    assert "§" not in markdown([make_record(), make_record(loss="dch")])


@pytest.mark.parametrize(
    "text",
    ["=1+2", "+1", "-1", "@SUM(A1)", "\t=1", "\n=1", "\r=1", "\t\r =1", "＝1", "＋1", "－1", "＠A", "﹢1"],
)
def test_csv_text_is_never_a_formula(make_record, text):
    error = Failure(type="E", stage="measure", message=text)
    (line,) = csv.DictReader(io.StringIO(CellTable([make_record(status="failed", error=error)]).csv()))
    assert line["error_message"].startswith("'")


def test_two_settings_of_one_loss_have_different_names_in_every_table(make_record):
    some = [make_record(loss="dch", params={"loss": {"epochs": epochs}}) for epochs in (2, 4)]
    lines = csv.DictReader(io.StringIO(CellTable(some).csv()))
    names = [line["configuration"] for line in lines]
    assert names == [f"cukd_v1 · cukd · dch[epochs={epochs}] · 32 bit" for epochs in (2, 4)]
    assert all(f"dch\\[epochs={epochs}\\]" in markdown(some) for epochs in (2, 4))


def test_a_teacher_trained_in_another_way_gives_no_student_a_longer_name(make_record):
    slow, fast = ({"loss": {"lr": rate}} for rate in (0.001, 0.004))
    plain = make_record(method="none", params=fast)
    taught = make_record(method="cukd", params=fast)
    teacher = make_record(student=taught.cell.teachers[0], method="none", params=slow)
    name = Names([plain, taught, teacher])
    assert {name(record).loss for record in (plain, taught, teacher)} == {plain.cell.loss}
    other = make_record(method="cukd", params=slow)  # a student at two rates
    name = Names([plain, taught, teacher, other])
    assert [name(record).loss.partition("[")[2] for record in (plain, taught, other)] == [
        "lr=0.004]",
        "lr=0.004]",
        "lr=0.001]",
    ]
    assert name(teacher).loss == teacher.cell.loss


def test_a_structured_value_never_becomes_a_title(make_record):
    """The detail of a curve holds lists, one of them called ``precision``."""
    curve = Measured(value=0.5, unit="", higher_is_better=True, noise="seeded",
                   detail={"precision": [0.1] * 33, "threads": [1, 2], "device": {"a": 1}})  # fmt: skip
    record = make_record()
    record = record.model_copy(update={"metrics": record.metrics | {"pr_curve:radius": curve}})
    (group,) = summary_of([record]).groups
    assert Scale.of(group, "pr_curve:radius").column(group.rows).detail == ""
    assert Axis.of(group, "pr_curve:radius", group.rows).label == (
        "area under precision-recall (radius), more is better"
    )
    assert len(str(Names([record, make_record(params={"loss": {"x": list(range(999))}})])(record))) < 200


def test_csv_heads_are_never_formulas(make_record):
    record = make_record()
    metrics = {"=cmd()": record.metrics["macs"], "\t@x": record.metrics["macs"]}
    text = CellTable([record.model_copy(update={"metrics": metrics})]).csv()
    heads = next(csv.reader(io.StringIO(text)))
    assert {"'=cmd()", "'@x"} <= set(heads)


def test_negative_numbers_stay_numbers(make_record):
    record = make_record()
    change = record.metrics["macs"].model_copy(update={"value": -0.25})
    record = record.model_copy(update={"metrics": {"onnx_map_change:int8": change}})
    (line,) = csv.DictReader(io.StringIO(CellTable([record]).csv()))
    assert line["onnx_map_change:int8"] == "-0.25"


def test_parquet_has_the_same_cells_with_types(run_records):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    table = parquet.read_table(io.BytesIO(CellTable(run_records).parquet()))
    assert table.num_rows == len(run_records)
    types = {field.name: field.type for field in table.schema}
    for name in ("bits", "seed", "image_size", "threads"):
        assert types.pop(name) == pa.int64()
    numbers = {name for record in run_records for name in record.metrics}
    numbers |= {f"{name} {end}" for name in numbers if name.startswith("map") for end in ("low", "high")}
    assert {name for name, kind in types.items() if kind == pa.float64()} == numbers
    assert all(kind == pa.string() for name, kind in types.items() if name not in numbers)
    for line, record in zip(table.to_pylist(), run_records, strict=True):
        assert line["bits"] == record.cell.bits
        assert json.loads(line["params_json"]) == record.params
        for name in numbers & set(record.metrics):
            assert line[name] == record.metrics[name].value
        if record.status != "ok":
            assert line["macs"] is None
            assert line["error_message"] == record.error.message


def test_parquet_is_the_same_every_time(run_records):
    pytest.importorskip("pyarrow")
    assert CellTable(run_records).parquet() == CellTable(run_records).parquet()


def test_no_parquet_without_pyarrow(run_records, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert CellTable(run_records).parquet() is None


# -- Any name ------------------------------------------------------------------------------------


def hostile_records(make_record, name):
    error = Failure(type="E", stage="distill", message=name)
    failed = make_record(name, status="failed", error=error, dataset=name)
    return [make_record(name, loss=name), make_record(name, method=name, loss=name, bits=16), failed]


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_survives_any_name(make_record, name):
    text = markdown(hostile_records(make_record, name))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert widths == {13, 8, 9}  # group, fronts, cells without numbers: each of one width
    assert not re.search(r"(?<!\\)<", text)
    assert not re.search(r"(?<!\\)\]\(", text)


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


# -- What the tables claim -----------------------------------------------------------------------


def test_bold_only_where_intervals_are_apart(make_record):
    close = [make_record(method=method, bits=16) for method in ("none", "cukd")]
    text = markdown(close)
    assert "**" in text  # 0.03 apart, half widths 0.011
    overlapping = [make_record(loss=loss, bits=16) for loss in ("csq", "dch")]
    assert "**" not in markdown(overlapping)


def test_limited_runs_are_marked_and_never_bold(make_record):
    records = [make_record(method=method, protocol={"limit": 50}) for method in ("none", "cukd")]
    text = markdown(records)
    assert "limited, not comparable" in text
    assert "**" not in text


def test_a_missing_cost_leaves_a_dash(make_record):
    complete, partial = make_record(bits=16), make_record(bits=32)
    without = {name: metric for name, metric in partial.metrics.items() if name != "macs"}
    text = markdown([complete, partial.model_copy(update={"metrics": without})])
    assert "–" in text


def test_macs_share_one_unit(make_record):
    small, large = make_record(bits=16), make_record(bits=32)
    macs = large.metrics["macs"].model_copy(update={"value": 4.1e9})
    large = large.model_copy(update={"metrics": {**large.metrics, "macs": macs}})
    assert "MACs (M)" in markdown([small])
    assert "MACs (G)" in markdown([small, large])


def test_unsteady_timings_are_marked(make_record):
    record = make_record()
    noisy = record.metrics["latency_ms@1"].model_copy(update={"detail": {"noisy": True}})
    record = record.model_copy(update={"metrics": {**record.metrics, "latency_ms@1": noisy}})
    text = markdown([record])
    assert "2.10†" in text
    assert "†: unsteady timings" in text
    assert "‡" not in text


def test_multiply_adds_that_are_not_fully_counted_are_marked(make_record):
    """Records of earlier versions do not say, and get no mark."""
    record = make_record()
    marked = {}
    for fully in (True, False):
        macs = record.metrics["macs"].model_copy(update={"detail": {"fully_counted": fully}})
        records = [record.model_copy(update={"metrics": {**record.metrics, "macs": macs}})]
        marked[fully] = markdown(records), latex(records)
    assert "88.8‡" in marked[False][0]
    assert "‡: not fully counted, at least so many" in marked[False][0]
    assert "the row may cost more than it seems to" in marked[False][0]
    assert r"$\ddagger$" in marked[False][1]
    assert not any("‡" in text for text in (*marked[True], markdown([record])))
    assert r"$\ddagger$" not in marked[True][1]


# -- Fronts --------------------------------------------------------------------------------------


def test_fronts_of_a_run(run_records):
    text = markdown(run_records)
    assert "#### mAP@all against MACs" in text
    assert "#### mAP@all against latency, batch 1" in text
    assert (
        "- Smallest student within 0.02 of the best student (0.862): cukd_v1 · cukd · dch · 16 bit at 88.7 M"
        in text
    )
    assert (
        "- Fastest student within 0.02 of the best student (0.862): cukd_v1 · cukd · dch · 32 bit, the best"
        in text
    )
    assert re.search(
        r"- Hypervolume 0\.\d{3}; of one method alone: cukd 0\.\d{3}, none 0\.\d{3}, teacher", text
    )
    assert "not ranked together" not in text


def test_limited_runs_have_no_fronts(make_record):
    text = markdown([make_record(bits=bits, protocol={"limit": 50}) for bits in (16, 32)])
    assert "Fronts" not in text
    assert "Hypervolume" not in text


def test_groups_say_why_they_are_apart(make_record):
    records = [make_record(), make_record(environment={"threads": 2})]
    for text in (markdown(records), latex(records)):
        assert re.search("2 groups, not ranked together: threads (2 against 8|8 against 2)", text)


def test_many_close_rows_are_counted_not_listed(make_record):
    base = make_record()
    records = []
    for i in range(30):
        record = make_record(f"s{i:02d}", bits=16)
        macs = base.metrics["macs"].model_copy(update={"value": 1e6 * (i + 1)})
        accuracy = base.metrics["map@all:expected:relevant"]
        accuracy = accuracy.model_copy(update={"value": accuracy.value - i / 10000})
        records.append(
            record.model_copy(update={"metrics": {"map@all:expected:relevant": accuracy, "macs": macs}})
        )
    text = markdown(records)
    assert text.count("not distinguishable |") == columns.MOST_CLOSE
    assert f"{29 - columns.MOST_CLOSE} more rows are not distinguishable from the front." in text


def test_unsteady_rows_on_the_front_are_doubted(make_record):
    record = make_record()
    noisy = record.metrics["latency_ms@1"].model_copy(update={"detail": {"noisy": True}})
    text = markdown([record.model_copy(update={"metrics": {**record.metrics, "latency_ms@1": noisy}})])
    assert "†: unsteady timings; the front may change when they are measured again." in text


def test_constant_columns_of_latex_become_a_note(make_record):
    text = latex([make_record(bits=32, loss=loss) for loss in ("csq", "dch")])
    assert "In all rows: bits = 32; seeds = 1;" in text
