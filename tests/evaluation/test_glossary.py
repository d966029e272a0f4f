import re

import pytest

from src.evaluation.assessment import SCHEMA
from src.evaluation.glossary import TERMS, definition, term
from src.evaluation.grade import GATE_METRICS
from src.evaluation.pooled.assessment import POOLED_SCHEMA

SHOWN_NOWHERE = {"asset_class", "symbol", "shift_passes", "shift_z", "stamp", "net", "equity", "always_long"}


def test_every_column_of_the_grades_has_one_definition():
    names = [each.name for each in TERMS]
    assert len(names) == len(set(names))
    columns = {*SCHEMA, *POOLED_SCHEMA, *(metric.name for metric in GATE_METRICS)}
    assert columns - SHOWN_NOWHERE <= set(names)


@pytest.mark.parametrize("each", TERMS, ids=lambda each: each.name)
def test_a_definition_is_short_and_ends_as_a_sentence(each):
    assert len(each.definition.split()) < 36 and each.definition.endswith(".")
    assert not re.search(r"\bnot un\w+|n't \w+ without", each.definition)


def test_an_unknown_figure_has_no_definition():
    assert definition("no_such_figure") == "" and definition("auc") == term("auc").definition
    with pytest.raises(KeyError):
        term("no_such_figure")
