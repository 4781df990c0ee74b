import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.report.charts.ticks import is_log, log_ticks, plain


def test_no_cost_of_nothing_on_a_logarithmic_axis():
    assert is_log([1, 11])
    assert not is_log([1, 10])
    assert not is_log([0, 11])


@given(st.floats(-5, 9), st.floats(0.05, 9))
def test_ticks_are_round_few_and_inside(power, decades):
    low, high = 10**power, 10 ** (power + decades)
    ticks = log_ticks(low, high)
    assert len(ticks) <= 8
    assert all(low <= tick <= high for tick in ticks)
    assert ticks == sorted(set(ticks))
    if decades >= 1:
        assert len(ticks) >= 2


@pytest.mark.parametrize(
    ("value", "text"),
    [(4, "4"), (30.0, "30"), (0.05, "0.05"), (1e-5, "0.00001"), (2.5, "2.5"), (2e6, "2,000,000"), (0, "0")],
)
def test_numbers_are_plain(value, text):
    assert plain(value) == text
