"""The interactive report: one folder of pages that works from a disk and from a server, without a network.

Pages hold their data as JSON; a few small scripts draw it with plotly. Whatever comes from records is text
that somebody else wrote: it is escaped where it lands, and file names are made of safe characters only.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.utils import htmlsafe_json_dumps
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from bench.errors import RecordError, escaped
from bench.report.charts.styles import Styles
from bench.report.tables.columns import front_title, warning_notes
from bench.report.web import examples as web_examples
from bench.report.web import speed as training_speed
from bench.report.web.cells import CellPages
from bench.report.web.curves import CurveView
from bench.report.web.groups import FACETS, PUBLISHED, GroupView, facet_choices
from bench.results import catalogue, commands
from bench.results.folder import Results, ResultsFolder
from bench.results.fronts import Front, differences, front_of
from bench.results.grid_index import GridIndex
from bench.results.names import Configuration, Names
from bench.results.pareto import MARGIN
from bench.results.published import Beside
from bench.results.records import Record
from bench.results.summary import Group, Summary
from bench.results.wording import UNLIKE, one_line, pixels

_ASSETS = (
    "style.css",
    "theme.js",
    "page.js",
    "pareto.js",
    "chart.js",
    "table.js",
    "examples.js",
    "index.js",
    "cell.js",
)
#: What a marker says about a row.
_HINTS = {"method": "colour and shape", "loss": "filling", "bits": "size"}
_DOWNLOADS = {
    "csv": "every cell, numbers at full precision",
    "parquet": "every cell, for pandas and databases",
    "md": "means over seeds, for reading",
    "tex": "means over seeds, for papers (booktabs)",
    "svg": "chart for the web",
    "pdf": "chart for papers",
    "png": "chart for slides",
    "json": "how sure the places on the fronts are, and of pairs of rows which is better",
}
#: In JSON of ASCII: a pair of surrogates, and any other escape; and the one control character that has none.
_ESCAPED = re.compile(r"\\u[dD][89abAB]..\\u[dD][c-fC-F]..|\\u....|\\.|\x7f")
_LEVEL = 3  # of compression; 6 takes twice the time for a tenth less
_NAME_LENGTH = 150  # characters; file systems allow 255 bytes, endings included


def site(
    summary: Summary,
    results: Results,
    *,
    within: float,
    downloads: Sequence[str],
    findings: Sequence[str] = (),
    published: Mapping[str, Beside] | None = None,
    fronts: Mapping[str, Sequence[Front]] | None = None,
    curves: Sequence[CurveView] = (),
) -> dict[str, bytes]:
    """Make the pages of one report.

    Args:
        summary: of ``results``.
        results: the records, with what lies beside them.
        within: how far below the best student a smaller one may be to be recommended, at first.
        downloads: names of the files beside ``index.html`` that are offered for download.
        findings: what the records say, a paragraph each below the title.
        published: slug of a group -> what may stand beside its rows.
        fronts: slug of a group -> its fronts; None: those that the grid asks for, of which nobody knows how
            sure they are.
        curves: to be shown above all else.

    Returns:
        Path in the report's folder -> content; the same records give the same bytes.
    """
    maker = _Site(summary, results, published or {}, fronts)
    return {
        "index.html": maker.index(within, downloads, findings, curves),
        **maker.cells(),
        **maker.pictures.files,
        "records.zip": maker.archive(),
        "assets/plotly.min.js": get_plotlyjs().encode(),
        **{
            f"assets/{name}": (files("bench.report.web") / "templates" / name).read_bytes()
            for name in _ASSETS
        },
    }


class _Site:
    """What the pages of one report share."""

    def __init__(
        self,
        summary: Summary,
        results: Results,
        published: Mapping[str, Beside],
        fronts: Mapping[str, Sequence[Front]] | None,
    ) -> None:
        self.summary, self.results, self.published, self.fronts = summary, results, published, fronts
        self.stems = dict(_file_names(results))
        self.pages = {key: f"cells/{stem}.html" for key, stem in self.stems.items()}
        self.pictures = web_examples.choose(summary, results, self.stems)
        self.command = partial(commands.export, results)
        self.cell_pages = CellPages()
        self.templates = Environment(
            loader=PackageLoader("bench.report.web"),
            autoescape=True,
            finalize=_shown,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.templates.filters["embed"] = _embed
        self.templates.filters["pixels"] = pixels
        self.templates.globals["created"] = one_line(
            max((one.created for one in results.records), default="")
        )

    def index(
        self,
        within: float,
        downloads: Sequence[str],
        findings: Sequence[str],
        curves: Sequence[CurveView],
    ) -> bytes:
        """The page of all cells."""
        styles = Styles(self.summary.groups)
        views = [
            GroupView(
                group,
                styles,
                list(self._fronts(group, within)),
                self.pages,
                self.command,
                self.published.get(group.slug),
            )
            for group in self.summary.groups
        ]
        strips = {
            view.group.slug: {
                i: self.pictures.strips[row.records[0].key]
                for i, row in enumerate(view.group.rows)
                if row.records[0].key in self.pictures.strips
            }
            for view in views
        }
        return self._page(
            "index.html",
            root="",
            findings=findings,
            descriptions=self.results.descriptions,
            counts=Counter(record.status for record in self.results.records),
            missing=self.summary.missing,
            other_records=self.results.left_out,
            views=views,
            curves=curves,
            origins=self.results.origins,
            differences=differences(self.summary.groups),
            front_title=front_title,
            margin=f"{MARGIN:g}",
            unlike=UNLIKE,
            warning_notes=warning_notes,
            published_mark=PUBLISHED,
            facets=FACETS,
            hints=_HINTS,
            choices=facet_choices(views),
            data={"groups": [view.data() for view in views]},
            strips={slug: found for slug, found in strips.items() if found},
            left_out=self.pictures.left_out,
            unfinished=list(self._unfinished()),
            within=within,
            speed=self._speed(),
            downloads={file: _DOWNLOADS.get(file.rpartition(".")[2], "") for file in downloads},
        )

    def _speed(self) -> training_speed.TrainingSpeed | None:
        try:
            return training_speed.load(self.results.folders)
        except RecordError as error:
            self.results.faults.append(str(error))
            return None

    def _fronts(self, group: Group, within: float) -> Iterator[Front]:
        if self.fronts is not None:
            yield from self.fronts[group.slug]
            return
        for pair in self.results.pareto:
            if front := front_of(group, *pair, within):
                yield front
        if own := self.published.get(group.slug):
            yield from (front for _, front in own.fronts(self.results.pareto))

    def cells(self) -> dict[str, bytes]:
        """The page of every cell."""
        made = {}
        for group in self.summary.groups:
            for row in group.rows:
                seeds = [(record.cell.seed, f"../{self.pages[record.key]}") for record in row.records]
                for record in row.records:
                    page = self._cell(record, row.configuration, group=group.slug, seeds=seeds)
                    made[self.pages[record.key]] = page
        for record, configuration in self._without_numbers():
            made[self.pages[record.key]] = self._cell(record, configuration, group="", seeds=[])
        return made

    def archive(self) -> bytes:
        """All records as a results folder in a zip file, the same bytes for the same records."""
        buffer, results = io.BytesIO(), self.results
        place, why = ResultsFolder(Path()), "\n\n".join(results.descriptions)
        learnt = catalogue.learnt(name for record in results.records for name in record.metrics)
        index = GridIndex.of(results.name, results.pareto, results.cells, why, learnt, results.curves)
        parts = {place.index: index.text().encode()}
        for record in sorted(results.records, key=lambda record: self.stems[record.key]):
            content = results.home(record).record(results.stems[record.key]).read_bytes()
            parts[place.record(self.stems[record.key])] = content
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, content in parts.items():
                entry = zipfile.ZipInfo(path.as_posix())
                entry.create_system, entry.external_attr = 3, 0o644 << 16
                archive.writestr(entry, content, zipfile.ZIP_DEFLATED, _LEVEL)
        return buffer.getvalue()

    def _cell(self, record: Record, configuration: Configuration, **more: Any) -> bytes:
        return self._page(
            "cell.html",
            root="../",
            configuration=configuration,
            file=f"{self.stems[record.key]}.json",
            command=self.command(record),
            origin=self.results.origins([record]),
            strip=self.pictures.strips.get(record.key),
            **self.cell_pages.context(record, self.results.noted(self.results.log, record, "")),
            **more,
        )

    def _page(self, template: str, **values: Any) -> bytes:
        text = self.templates.get_template(template).render(name=self.summary.name, **values)
        # A record may hold half a surrogate pair, which no encoding can express.
        return text.encode("utf-8", errors="replace")

    def _without_numbers(self) -> Iterator[tuple[Record, Configuration]]:
        """Failed and skipped cells in the order of their configurations."""
        records = [record for record in self.results.records if not record.finished]
        if records:
            name = Names(self.results.records)
            named = [(record, name(record)) for record in records]
            yield from sorted(named, key=lambda pair: (pair[1], pair[0].cell.seed))

    def _unfinished(self) -> Iterator[dict[str, Any]]:
        for record, configuration in self._without_numbers():
            error = record.error
            yield {
                "configuration": configuration,
                "seed": record.cell.seed,
                "status": record.status,
                "folder": self.results.origins([record]),
                "reason": one_line(f"{error.stage}: {error.type}: {error.message}") if error else "",
                "page": self.pages[record.key],
            }


def _file_names(results: Results) -> Iterator[tuple[str, str]]:
    """Record key and a file name without ending, safe on any system and unique in any case."""
    taken = set()
    for record in results.records:
        stem = results.stems[record.key]
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip(".")[:_NAME_LENGTH]
        if name != stem or name.lower() in taken:
            name = f"{name}-{hashlib.sha256(record.key.encode()).hexdigest()[:8]}"
        taken.add(name.lower())
        yield record.key, name


def _shown(value: object) -> object:
    """What is put into a page; of text, what a browser would act on or hide as its escape."""
    return escaped(value, but="\n\t") if isinstance(value, str) and not isinstance(value, Markup) else value


def _embed(value: object) -> Markup:
    """``value`` as JSON that cannot end the script element around it, its texts as ``_shown`` leaves them."""
    text = htmlsafe_json_dumps(value, separators=(",", ":"), allow_nan=False)
    return Markup(_ESCAPED.sub(_kept_or_shown, text))  # noqa: S704


def _kept_or_shown(escape: re.Match[str]) -> str:
    """An escape of JSON that stands for something printable; of another, the text of that escape."""
    read = str(json.loads(f'"{escape[0]}"'))
    return escape[0] if escaped(read, but="\n\t") == read else escaped(read).replace("\\", "\\\\")
