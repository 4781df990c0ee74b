"""The size of images: said once where all rows have the same, by row where not."""

import re

from bench.results.folder import load_results
from tests.report.tables import latex, markdown
from tests.report.test_web import data, make, text


def of_size(record, side):
    return record.model_copy(update={"cell": record.cell.model_copy(update={"image_size": side})})


def test_image_sizes_are_a_column_where_they_differ_and_a_note_where_not(make_record):
    some = [make_record(bits=16), make_record("efficientnet_lite0", "none")]
    mixed = [of_size(some[0], 32), some[1]]
    for write in (markdown, latex):
        assert "Image size: 64 px." in write(some)
        assert "image size" not in write(some)
        assert "Image size:" not in write(mixed)
    lines = [line for line in markdown(mixed).splitlines() if line.startswith("|")]
    for table in (lines[:4], lines[4:8]):
        where = [head.strip() for head in table[0].split("|")].index("image size (px)")
        found = {line.split("|")[where].strip() for line in table[2:]}
        assert found == {"32", "64"}
    assert latex(mixed).count("cukd\\_v1 & 32 & cukd &") == 3


def test_the_size_of_images_is_told_once_or_by_row(make_record, write_results):
    some = [make_record(), make_record("efficientnet_lite0", "none")]
    same = make(load_results(write_results(some)))
    assert "<dt>Image size</dt><dd>64 px</dd>" in text(same)
    assert 'data-key="size"' not in text(same)
    mixed = make(load_results(write_results([of_size(some[0], 32), some[1]])))
    assert "<dt>Image size</dt><dd>32, 64 px</dd>" in text(mixed)
    assert 'data-key="size"' in text(mixed)
    assert re.findall(r'</span></th><td class="num">(\d+)</td>', text(mixed)) == ["32", "64"]
    (group,) = data(mixed)["groups"]
    assert [(row["size"], row["facets"]["size"]) for row in group["rows"]] == [(32, "32 px"), (64, "64 px")]
