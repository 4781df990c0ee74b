import pytest

from bench.results import along


@pytest.fixture
def cell(make_record):
    return make_record(
        params={
            "dataset": {"train_per_class": 50, "database_per_class": None, "validation": True},
            "teachers": [{"weights": "default", "width": 2.0, "depth": 3}, {"width": 2.0, "depth": 4}],
            "loss": {"epochs": 30, "select": "last", "huge": 10**400},
        }
    )


def test_every_number_of_a_cell_has_a_path(cell):
    assert along.numbers(cell.cell, cell.params) == {
        "bits": 32,
        "image_size": 64,
        "dataset.train_per_class": 50,
        "method.epochs": 20,
        "method.views": 2,
        "loss.epochs": 30,
        "teacher.width": 2,
    }


def test_what_is_no_number_has_no_path(make_record):
    record = make_record(bits=0)
    shaped = record.cell.model_copy(update={"image_size": "320x160"})
    assert {"bits", "image_size"}.isdisjoint(along.numbers(shaped, record.params))


@pytest.mark.parametrize(
    ("path", "block", "value"),
    [
        ("dataset.train_per_class", "dataset", {"train_per_class": 5}),
        ("loss.epochs", "loss", {"epochs": 7}),
        ("teacher.width", "teachers", [{"width": 1.0}]),
    ],
)
def test_cells_are_one_but_for_the_number(make_record, path, block, value):
    parts = [make_record(params={block: value}) for value in (value, _other(value))]
    first, second = (along.identity(part.cell, part.params, [path]) for part in parts)
    assert first == second
    others = [along.identity(part.cell, part.params, ["bits"]) for part in parts]
    assert others[0] != others[1]


def _other(value):
    if isinstance(value, list):
        return [_other(one) for one in value]
    return {name: number + 1 for name, number in value.items()}


def test_seeds_protocols_precision_and_measures_make_no_other_line(make_record):
    records = [
        make_record(seed=0),
        make_record(seed=1, protocol={"manifest": "another"}, environment={"precision": "bf16"}),
        make_record(params={"measure": {"macs": {}}}),
    ]
    assert len({along.identity(one.cell, one.params, ["loss.epochs"]) for one in records}) == 1
    longer = make_record(bits=64)
    assert along.identity(longer.cell, longer.params, ["loss.epochs"]) not in {
        along.identity(one.cell, one.params, ["loss.epochs"]) for one in records
    }
    assert along.identity(longer.cell, longer.params, ["bits"]) == along.identity(
        records[0].cell, records[0].params, ["bits"]
    )


CELLS = [{"bits": 16.0, "loss.epochs": 30.0}, {"bits": 32.0, "loss.epochs": 30.0}]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("bits", ""),
        ("epochs", "no cell has a number 'epochs'; did you mean 'loss.epochs'?"),
        ("loss.epoch", "no cell has a number 'loss.epoch'; did you mean 'loss.epochs'?"),
        ("student.width", "no cell has a number 'student.width'; what differs between cells: bits"),
        (
            "loss.epochs",
            "30 is the only value of loss.epochs, and a curve takes two; what differs between cells: bits",
        ),
    ],
)
def test_a_path_that_nothing_can_be_drawn_along_is_refused_with_a_cure(path, said):
    assert along.refusal(path, CELLS) == said


def test_words_and_path_stand_on_the_axis():
    assert along.label("dataset.train_per_class") == "labelled images a class (dataset.train_per_class)"
    assert along.label("bits") == "code length in bits"
    assert along.label("method.gamma") == "method.gamma"


def test_numbers_that_go_along_are_found_by_kind_of_cell(make_record):
    def cells(loss, epochs):
        return [
            make_record(loss=loss, params={"dataset": {"train_per_class": labels}, "loss": {"epochs": many}})
            for labels, many in epochs
        ]

    some = [
        *cells("csq", [(5, 400), (10, 250), (20, 250)]),
        *cells("dch", [(5, 30), (10, 30)]),
        *cells("hashnet", [(5, 400), (5, 30), (10, 30)]),
    ]
    path = "dataset.train_per_class"
    found = along.companions(path, [(one.cell, along.numbers(one.cell, one.params), "") for one in some])
    assert [*found.values()] == [["loss.epochs"], [], []]
    along_loss = along.companions(
        "loss.epochs", [(one.cell, along.numbers(one.cell, one.params), "") for one in some[:2]]
    )
    # Cells of other data never become one line by what their losses have.
    assert [*along_loss.values()] == [[]]


def test_what_is_no_number_in_one_of_the_cells_goes_along_with_nothing(make_record):
    """``views: online`` beside 2 and 4, or a parameter that some cells leave out."""
    path = "dataset.train_per_class"
    for odd in ("online", None):
        some = [
            make_record(params={"dataset": {"train_per_class": labels}, "method": {"views": views}})
            for labels, views in ((5, odd), (10, 2), (20, 4))
        ]
        found = along.companions(path, [(one.cell, along.numbers(one.cell, one.params), "") for one in some])
        assert [*found.values()] == [[]]


def test_a_parameter_of_the_data_goes_along_on_every_line_or_on_none(make_record):
    """Or a line that has fewer values would be another curve."""
    path, kept = "dataset.train_per_class", {5: 1, 10: 1, 20: 2}
    some = [
        make_record(
            method=method, params={"dataset": {"train_per_class": labels, "val_per_class": kept[labels]}}
        )
        for method, several in (("none", (5, 10, 20)), ("cukd", (5, 10)))
        for labels in several
    ]
    found = along.companions(path, [(one.cell, along.numbers(one.cell, one.params), "") for one in some])
    assert [*found.values()] == [["dataset.val_per_class"]] * 2
