import pytest

from bench.results.records import StageInfo
from bench.results.seedless import seedless
from tests.recorded import make_record

PRETRAINED = {"student": {"weights": "sha256:1"}}


def record(*stages, params=PRETRAINED, summary=None, **kwargs):
    """A cell of no method whose stages are these; ``summary`` is that of all."""
    made = {name: StageInfo(key=name, seconds=1.0, cached=True, summary=summary or {}) for name in stages}
    return make_record("student", "none", "sign", params=params, **kwargs).model_copy(update={"stages": made})


@pytest.mark.parametrize(
    "same", [record("encode"), record("trunk", "fit", "encode", summary={"draws": False})]
)
def test_networks_as_they_are_are_the_same_with_every_seed(same):
    assert seedless(same)


@pytest.mark.parametrize(
    "drawn",
    [
        record(),
        record("distill", "encode"),
        record("finetune", "encode"),
        record("fit", "encode"),  # an older record, or a rule that draws
        record("encode", params={"student": {"weights": "none"}}),
        record("encode", params={"student": {}}),
        record("encode", status="external"),
        record("encode", status="failed"),
    ],
)
def test_what_is_trained_or_drawn_is_not(drawn):
    assert not seedless(drawn)
