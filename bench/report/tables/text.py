"""Tables for people: means over seeds and the fronts among them, as Markdown and as LaTeX.

Names come from plug-ins and grids, so whatever is written is escaped for the format it lands in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from tabulate import tabulate

from bench.errors import escaped
from bench.report.tables import columns as of
from bench.report.tables import curves as of_curves
from bench.report.tables import tex
from bench.report.tables.columns import Column
from bench.report.tables.published import front_columns_beside, published_columns, published_notes
from bench.results.curves import Curve, Gains
from bench.results.fronts import Front, differences
from bench.results.published import Beside
from bench.results.records import Record
from bench.results.summary import Group, Summary
from bench.results.wording import in_markdown as _md

#: LaTeX stops where more floats than some 50 wait for a page.
_FLOATS_AT_A_TIME = 40

Fronts = Mapping[str, list[Front]]
#: By the slug of a group; empty where nobody asked for published figures.
Published = Mapping[str, Beside]


def markdown(
    summary: Summary,
    fronts: Fronts,
    command: Callable[[Record], str] = lambda _: "",
    origins: Callable[[Sequence[Record]], str] = lambda _: "",
    published: Published | None = None,
    curves: Sequence[tuple[Curve, Gains]] = (),
) -> str:
    """Return one section per comparable group, then the curves, then the cells that have no numbers.

    Args:
        summary: what was run.
        fronts: by the slug of their group; groups without any may be left out.
        command: what takes the network of a cell away; empty for none.
        origins: the folders that cells come from; empty where there is only one.
        published: what may stand beside the rows.
        curves: each with what distillation adds to it.
    """
    published = published or {}
    parts = [f"# {_md(summary.name)}", _md_list(differences(summary.groups))]
    for group in summary.groups:
        parts += [
            f"## {_md(group.title)}",
            f"Protocol: {_md(group.protocol_words)}",
            _md_table([*of.group_columns(group), *_folders(group, origins)]),
            _md_list(of.group_notes(group)),
            *_md_fronts(_ranked(group, fronts), command, published.get(group.slug)),
            *_md_published(published.get(group.slug)),
        ]
    if not summary.groups:
        parts.append("No cell has numbers yet, so there is nothing to average or to chart.")
    if ranked := [front for group in summary.groups for front in _ranked(group, fronts)]:
        parts += ["## What the words of the fronts mean", _md_list(of.front_rules(ranked))]
    parts += [part for curve, gains in curves for part in _md_curve(curve, gains)]
    if summary.unfinished:
        parts += ["## Cells without numbers", _md_table(of.unfinished_columns(summary))]
    if summary.missing:
        parts += ["## Cells not run yet", _md_list(summary.missing)]
    return "\n\n".join(filter(None, parts)) + "\n"


def latex(summary: Summary, fronts: Fronts, published: Published | None = None) -> str:
    r"""Return the same tables for ``\input``; the first line names the packages that the document needs."""
    tables = list(_floats(summary, fronts, published or {}))
    starts = range(0, len(tables), _FLOATS_AT_A_TIME)
    pages = ["\n\n".join(tables[start : start + _FLOATS_AT_A_TIME]) for start in starts]
    packages = " ".join(rf"\usepackage{{{package}}}" for package in tex.PACKAGES)
    body = "\n\n\\clearpage\n\n".join(pages) or "% No cell has numbers yet."
    return f"% needs {packages}\n\n{body}\n"


def _ranked(group: Group, fronts: Fronts) -> list[Front]:
    """The fronts of a group that have anybody on them."""
    return [front for front in fronts.get(group.slug, []) if front.standing("front")]


# -- Markdown ------------------------------------------------------------------------------------


def _md_fronts(fronts: list[Front], command: Callable[[Record], str], own: Beside | None) -> Iterator[str]:
    if fronts:
        yield "### Fronts"
    for front in fronts:
        yield f"#### {_md(of.front_title(front))}"
        yield _md_table(front_columns_beside(front, own))
        yield _md_list(of.front_notes(front))
    taken = [(name, command(record)) for name, record in of.recommended(fronts).items()]
    if lines := [f"- {_md(name)}: {_md_code(typed)}" for name, typed in taken if typed]:
        yield "#### Take a recommended student away"
        yield "\n".join(lines)


def _md_published(own: Beside | None) -> Iterator[str]:
    if own is not None:
        yield "### Published figures"
        if own.figures:
            yield _md_table(published_columns(own))
        yield _md_list(published_notes(own))


def _md_curve(curve: Curve, gains: Gains) -> Iterator[str]:
    yield f"## {_md(f'{of_curves.curve_title(curve)} · {curve.dataset}')}"
    yield _md_table(of_curves.curve_columns(curve))
    yield _md_list(of_curves.curve_notes(curve))
    if gained := of_curves.gain_columns(curve, gains):
        yield "### What distillation adds"
        yield _md_table(gained)
        yield _md_list(of_curves.gain_notes(curve, gains))


def _folders(group: Group, origins: Callable[[Sequence[Record]], str]) -> Iterator[Column]:
    """The folders of every row, where there are several."""
    if any(named := [origins(row.records) for row in group.rows]):
        yield Column("folder", named, numeric=False)


def _md_list(items: list[str]) -> str:
    return "\n".join(f"- {_md(item)}" for item in items)


def _md_table(columns: list[Column]) -> str:
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


def _md_code(text: str) -> str:
    """``text`` in a line, between more backticks than it has at a time."""
    text = escaped(text)
    fence = "`" * (1 + max(map(len, re.findall(r"`+", text)), default=0))
    return f"{fence} {text} {fence}" if "`" in text else f"`{text}`"


# -- LaTeX ---------------------------------------------------------------------------------------


def _floats(summary: Summary, fronts: Fronts, published: Published) -> Iterator[str]:
    apart = differences(summary.groups)
    for group in summary.groups:
        own = published.get(group.slug)
        columns, constants = of.without_constants(of.group_columns(group, "paper"))
        notes = [f"Protocol: {group.protocol_words}.", *constants, *of.group_notes(group), *apart]
        yield from tex.table(columns, f"{summary.name}: {group.title}.", notes)
        for front in _ranked(group, fronts):
            caption = f"{summary.name}: {group.title}. {of.front_title(front)}: the rows that matter."
            notes = [*of.front_notes(front), *of.front_rules([front])]
            yield from tex.table(front_columns_beside(front, own), caption, notes)
        if own is not None and own.figures:
            caption = f"{summary.name}: {group.title}. Published figures."
            yield from tex.table(published_columns(own), caption, published_notes(own))
    if summary.unfinished:
        yield from tex.table(of.unfinished_columns(summary), f"{summary.name}: cells without numbers.")
