"""``evaluate``: codes or embeddings made elsewhere, judged as the suite judges its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from bench.cli.options import FOLDER, Count, verb
from bench.cli.saying import say
from bench.errors import UsageError


@click.command()
@click.argument("codes", type=FOLDER)
@click.option("--bits", type=Count(), metavar="N",
              help="Code length, where 0 and 1 in bytes or packed codes leave it open.")  # fmt: skip
@click.option("--binarize", type=click.Choice(["sign"]), help="Make codes of real values: by their signs.")
@click.option("--distance", type=click.Choice(["cosine", "l2"]),
              help="Of embeddings [default: as the file says, or cosine].")  # fmt: skip
@click.option("--array", "arrays", multiple=True, metavar="ROLE=NAME",
              help="Which array of the file is what, for example query_codes=feats.")  # fmt: skip
@click.option("--k", type=Count("all"), metavar="N|all",
              help="Rank cut-off of mAP [default: all, or as --like has it].")  # fmt: skip
@click.option("--ties", type=click.Choice(["expected", "index", "best", "worst"]),
              help="Order of items at equal distance: an exact mean over all, the database's, relevant items "
              "first, or last [default: expected, or as --like has it].")  # fmt: skip
@click.option("--normalizer", type=click.Choice(["relevant", "min", "hits"]),
              help="What mAP is divided by: all relevant items, at most k of them, or those among the first "
              "k [default: relevant, or as --like has it].")  # fmt: skip
@click.option("--out", type=FOLDER, metavar="DIR",
              help="Also put a record into this folder, for report, compare and check.")  # fmt: skip
@click.option("--name", metavar="TEXT", help="What the method is called in the record.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), metavar="N",
              help="Of the training behind these codes, where there are several [default: 0].")  # fmt: skip
@click.option("--cost", "costs", multiple=True, metavar="NAME=NUMBER",
              help="What the method costs, for example params=3.3e6 or macs=8e7.")  # fmt: skip
@click.option("--dataset", metavar="NAME", help="What the data set is called in the record [default: CODES].")
@click.option("--like", type=FOLDER, metavar="RESULTS",
              help="Results or a record of the suite whose data set and protocol these are: the record "
              "stands beside its cells. Needs query_ids, the images' places in the data set.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@verb
def evaluate(
    codes: Path, bits: int | None, binarize: str | None, distance: Any, arrays: Sequence[str],
    k: int | str | None, ties: str | None, normalizer: str | None, as_json: bool, out: Path | None,
    **about: Any,
) -> None:  # fmt: skip
    """Judge codes or embeddings made elsewhere.

    CODES is an .npz file, a folder of .npy files, what the names of some begin with, or HDF5 as
    ann-benchmarks writes it. It holds query_codes and database_codes (packed bytes and their bits; -1 and +1,
    0 and 1 or bools of any type) or query_embeddings and database_embeddings; query_labels and
    database_labels (classes, or 0/1 by class) or neighbors, the true ones of each query; and query_ids and
    database_ids if you like.
    """
    from bench.cli import evaluation
    from bench.cli.entry import Entry, in_order_of, rule_of
    from bench.data.labelled_codes import Reading, read_codes

    for name, value in about.items():
        if out is None and value not in {None, ()}:
            raise UsageError(
                f"--{name.removesuffix('s')} is for a record; say with --out DIR where to put it"
            )
    entry = Entry.of(out, codes, **about) if out else None
    peer = entry.peer if entry else None
    rule = rule_of({"k": k, "ties": ties, "normalizer": normalizer}, peer)
    named = dict(_pair(text) for text in arrays)
    file = read_codes(codes, Reading(bits, binarize is not None, distance, named))
    found = evaluation.judge(in_order_of(peer, file) if peer else file, rule)
    if entry:
        entry.check(found)
    say(evaluation.as_json(found) if as_json else evaluation.text(found))
    if entry:  # last, as a full disk must not take the numbers away
        entry.save(found)


def _pair(text: str) -> tuple[str, str]:
    role, equals, name = text.partition("=")
    if not (role and equals and name):
        raise UsageError(f"--array {text}: write it as ROLE=NAME, for example query_codes=feats")
    return role, name
