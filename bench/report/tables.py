"""Tables: every cell as CSV for programs, the means over seeds as Markdown and LaTeX for people.

Names come from plug-ins and grids, so whatever is written is escaped for the format it lands in.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd
from tabulate import tabulate

from bench.records import Record
from bench.report import wording
from bench.report.names import Configuration
from bench.report.rows import Estimate, Group, Row, Summary, interval_words

#: The cost columns, by base name.
COSTS = ("params", "params_before", "macs", "macs_before", "latency_ms", "weights_mb")

#: Marks timings that the measurement itself found unsteady.
UNSTEADY = "†"

# -- One line per cell ---------------------------------------------------------------------------


def csv(records: list[Record]) -> str:
    """Return one line per record, whatever its status, numbers at full precision."""
    lines = [_flat(record) for record in records]
    columns = dict.fromkeys(column for line in lines for column in line)
    cells = [[_safe(line.get(column)) for column in columns] for line in lines]
    table = pd.DataFrame(cells, columns=[_safe(column) for column in columns], dtype=object)
    return str(table.to_csv(index=False, lineterminator="\n"))


def _flat(record: Record) -> dict[str, Any]:
    cell, error = record.cell, record.error
    values = {}
    for name, metric in record.metrics.items():
        values[name] = metric.value
        if metric.interval is not None:
            values[f"{name} low"], values[f"{name} high"] = metric.interval
    return {
        "dataset": cell.dataset,
        "teachers": "+".join(cell.teachers),
        "student": cell.student,
        "method": cell.method,
        "loss": cell.loss,
        "bits": cell.bits,
        "seed": cell.seed,
        "image_size": cell.image_size,
        "status": record.status,
        "error_stage": error.stage if error else None,
        "error_type": error.type if error else None,
        "error_message": error.message if error else None,
        **{f"protocol.{name}": value for name, value in cell.protocol.items()},
        **values,
        "params_json": record.params,
        **{
            name: record.environment.get(name)
            for name in ("device", "gpu", "cpu", "threads", "precision", "git")
        },
        "created": record.created,
        "cell_key": record.cell_key,
        "key": record.key,
    }


def _safe(value: Any) -> Any:
    """Numbers as they are; text in one line that no spreadsheet takes for a formula."""
    if value is None or isinstance(value, int | float):
        return value
    text = wording.one_line(value if isinstance(value, str) else json.dumps(value, sort_keys=True))
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


# -- One line per configuration ------------------------------------------------------------------


@dataclass(frozen=True)
class _Column:
    """A column of text; ``detail`` says unit and conditions, ``bold`` holds line numbers."""

    head: str
    cells: list[str]
    detail: str = ""
    numeric: bool = True
    bold: frozenset[int] = frozenset()


def _group_columns(group: Group) -> list[_Column]:
    columns = _configuration_columns([row.configuration for row in group.rows])
    if accuracy := group.accuracy:
        main = replace(_metric_column(group, accuracy), bold=_clear_wins(group, accuracy))
        if rule := wording.ranking_rule(accuracy):
            main = replace(main, detail=f"{rule[0]} ties, ÷ {rule[1]}")
        columns += [main, _Column("seeds", [str(row.seeds) for row in group.rows])]
        columns += [_metric_column(group, name) for name in group.further_accuracies]
        for order in ("best", "worst"):
            bound = group.resolve(f"{accuracy.partition(':')[0]}:{order}")
            if bound and bound != accuracy:
                columns.append(replace(_metric_column(group, bound, spread=False), detail=f"{order} ties"))
    return columns + [_metric_column(group, name) for cost in COSTS if (name := group.resolve(cost))]


def _configuration_columns(configurations: list[Configuration]) -> list[_Column]:
    named = [
        _Column(name, [str(getattr(one, name)) for one in configurations], numeric=False)
        for name in ("dataset", "student", "method", "loss")
    ]
    return [*named, _Column("bits", [str(one.bits or wording.FLOAT) for one in configurations])]


def _metric_column(group: Group, name: str, *, spread: bool = True) -> _Column:
    metric = group.metrics[name]
    values = [row.estimates[name].value for row in group.rows_with(name)]
    divisor, unit = wording.unit(name, metric, values)
    places = wording.decimals(value / divisor for value in values) if unit else 3

    def cell(row: Row) -> str:
        one = row.estimates.get(name)
        if one is None:
            return "–"
        text = f"{one.value / divisor:.{places}f}"
        if spread and one.half_width is not None:
            text += f" ± {one.half_width / divisor:.{places}f}"
        return text + UNSTEADY * row.unsteady(name)

    detail = ", ".join(filter(None, [unit, wording.conditions(metric)]))
    return _Column(wording.title(name), [cell(row) for row in group.rows], detail)


def _clear_wins(group: Group, name: str) -> frozenset[int]:
    """Lines that are best at their bit length, teachers aside, with an interval apart from all others'."""
    contenders: dict[int, list[tuple[Estimate, int]]] = defaultdict(list)
    for line, row in enumerate(group.rows):
        if not group.limited and row.role != "teacher" and name in row.estimates:
            contenders[row.configuration.bits].append((row.estimates[name], line))
    wins = set()
    for same_bits in contenders.values():
        (best, line), *others = sorted(same_bits, key=lambda item: -item[0].value)
        if others and all(best.above(other) for other, _ in others):
            wins.add(line)
    return frozenset(wins)


def _notes(group: Group) -> list[str]:
    """What a reader must know to quote a number of the group's table."""
    notes = []
    if accuracy := group.accuracy:
        notes.append(wording.definition(accuracy))
        if any(row.configuration.bits == 0 for row in group.rows):
            notes.append(f"{wording.FLOAT}: embeddings after step 1, compared by cosine; no binary codes.")
        spread = interval_words(row.estimates[accuracy] for row in group.rows_with(accuracy))
        notes.append(f"±: half of the {spread}." if spread else "One seed each, so no interval.")
        if group.resolve(f"{accuracy.partition(':')[0]}:best"):
            notes.append("Best and worst ties: relevant items first or last among equal distances.")
        if _clear_wins(group, accuracy):
            notes.append(
                "Bold: the best of its bit length, teachers aside, with an interval apart from all others'."
            )
    costs = [full for cost in COSTS if (full := group.resolve(cost))]
    notes += [note for cost in costs if (note := wording.definition(cost))]
    if any(row.unsteady(cost) for row in group.rows for cost in costs):
        notes.append(f"{UNSTEADY}: unsteady timings; measure again on a quiet machine.")
    if group.limited:
        notes.append("Limited run: these numbers compare with nothing.")
    return notes


def _unfinished_columns(summary: Summary) -> list[_Column]:
    cells = summary.unfinished
    return [
        *_configuration_columns([cell.configuration for cell in cells]),
        _Column("seed", [str(cell.seed) for cell in cells]),
        _Column("status", [cell.status for cell in cells], numeric=False),
        _Column("reason", [cell.reason for cell in cells], numeric=False),
    ]


# -- Markdown ------------------------------------------------------------------------------------


def markdown(summary: Summary) -> str:
    """Return one section per comparable group, then the cells that have no numbers."""
    parts = [f"# {_md(summary.name)}"]
    for group in summary.groups:
        parts += [
            f"## {_md(group.title)}",
            f"Protocol: {_md(group.protocol_words)}",
            _md_table(_group_columns(group)),
            "\n".join(f"- {_md(note)}" for note in _notes(group)),
        ]
    if not summary.groups:
        parts.append("No cell has numbers yet, so there is nothing to average or to chart.")
    if summary.unfinished:
        parts += ["## Cells without numbers", _md_table(_unfinished_columns(summary))]
    if summary.missing:
        parts += ["## Cells not run yet", "\n".join(f"- {_md(slug)}" for slug in summary.missing)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _md_table(columns: list[_Column]) -> str:
    heads = [_md(f"{c.head} ({c.detail})" if c.detail else c.head) for c in columns]
    cells = [
        [f"**{_md(text)}**" if line in c.bold else _md(text) for line, text in enumerate(c.cells)]
        for c in columns
    ]
    return tabulate(
        list(zip(*cells, strict=True)),
        heads,
        tablefmt="pipe",
        disable_numparse=True,
        colalign=["right" if c.numeric else "left" for c in columns],
    )


def _md(text: str) -> str:
    """Escape what Markdown or HTML would interpret; underscores inside words are safe and stay."""
    return re.sub(r"[\\`*~<>|\[\]&]|\b_|_\b", r"\\\g<0>", text)


# -- LaTeX ---------------------------------------------------------------------------------------

_TEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        **{character: f"\\{character}" for character in "&%$#_{}"},
        # A line that starts with one of these would be read as an argument of the \\ before it.
        **{character: f"{{{character}}}" for character in "[]*"},
        "±": r"$\pm$",
        "÷": r"$\div$",
        "×": r"$\times$",
        "·": r"\textperiodcentered{}",
        "–": "--",
        UNSTEADY: r"\textdagger{}",
    }
)


def latex(summary: Summary) -> str:
    r"""Return the same tables for ``\input``; the document needs the package booktabs."""
    parts = [r"% needs \usepackage{booktabs}"]
    for group in summary.groups:
        notes = [f"Protocol: {group.protocol_words}.", *_notes(group)]
        parts.append(_tex_table(_group_columns(group), f"{summary.name}: {group.title}. {' '.join(notes)}"))
    if not summary.groups:
        parts.append("% No cell has numbers yet.")
    if summary.unfinished:
        parts.append(_tex_table(_unfinished_columns(summary), f"{summary.name}: cells without numbers."))
    return "\n\n".join(parts) + "\n"


def _tex_table(columns: list[_Column], caption: str) -> str:
    cells = [
        [rf"\textbf{{{_tex(text)}}}" if line in c.bold else _tex(text) for line, text in enumerate(c.cells)]
        for c in columns
    ]
    heads = [[_tex(c.head) for c in columns]]
    if any(c.detail for c in columns):
        heads.append([_tex(f"({c.detail})") if c.detail else "" for c in columns])
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_tex(caption)}}}",
            rf"\begin{{tabular}}{{{''.join('r' if c.numeric else 'l' for c in columns)}}}",
            r"\toprule",
            *map(_tex_line, heads),
            r"\midrule",
            *map(_tex_line, zip(*cells, strict=True)),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
    )


def _tex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _tex(text: str) -> str:
    return text.translate(_TEX)
