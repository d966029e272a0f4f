import numpy as np
import pytest

from src.reporting.luck_chart import group_table, groups_chart, luck_bins, luck_chart
from src.reporting.report_data import Luck
from tests.reporting.synthetic import report_data

LUCK = Luck(57, 41, 31.0, 12.0, 66.0)
DRAWS = np.random.default_rng(0).poisson(31, 200)


def test_every_draw_is_in_the_bar_of_its_count():
    bins = luck_bins(LUCK, DRAWS)
    assert bins["draws"].sum() == 200
    for low, high, _, draws, usual in bins.iter_rows():
        assert draws == ((low < DRAWS) & (high > DRAWS)).sum()
        assert usual == any(12 <= count <= 66 for count in range(int(low + 0.5), int(high + 0.5)))


def test_many_passes_share_a_bar():
    bins = luck_bins(Luck(900, 1, 500.0, 400.0, 600.0), np.arange(300, 700))
    assert bins.height <= 40 and bins["draws"].sum() == 400
    assert bins["passes"][0].split(" to ")[0] <= "300"


def test_passes_and_expectation_stand_on_one_scale_with_the_draws():
    chart = luck_chart(LUCK, DRAWS)
    (low, high) = chart.spec["layer"][0]["encoding"]["x"]["scale"]["domain"]
    row = chart.tables["labels"].row(0, named=True)
    assert (row["passes"], row["expected"], row["seen"]) == (57, 31.0, "57 runs passed")
    assert row["luck"] == "luck alone: about 31 (12 to 66)"
    assert low <= 0 and high > max(66, DRAWS.max())


@pytest.mark.parametrize("luck", [Luck(9, 9, None, None, None), Luck(9, 9, 3.0, None, None)])
def test_luck_that_is_not_computed_is_named_and_not_drawn(luck):
    chart = luck_chart(luck, np.array([], dtype=np.int64))
    assert chart.tables["luck"].is_empty()
    marks = [layer["mark"]["type"] for layer in chart.spec["layer"]]
    assert marks.count("rule") == 1 + (luck.expected is not None)


def test_the_chart_has_an_alternative_with_its_numbers():
    assert luck_chart(LUCK, DRAWS).alternative == "57 runs passed; luck alone gives about 31 (90% range 12 to 66)"


def test_groups_are_drawn_as_they_are_counted():
    data = report_data(planted=20)
    table = group_table(data.groups)
    for group, row in zip(data.groups, table.iter_rows(named=True), strict=True):
        runs = data.grades.filter(data.grades[group.column] == group.name)
        assert (row["group"], row["runs"], row["passes"]) == (group.name, runs.height, runs["passed"].sum())
    assert all(group.name in groups_chart(data.groups).alternative for group in data.groups)
