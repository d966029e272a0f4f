"""Damaged bodies: each reader says by one of its errors that it can't read one, so that the others are read."""

import random

import pytest

from src.research.reading.cache import UNREADABLE
from src.research.reading.company_facts import figures, recent_figures
from src.research.reading.forms import index_filings, stated_fields, submitted_filings
from src.research.reading.insider_sets import set_trades
from src.research.reading.ownership import trades
from tests.research.reading_case import company_facts, form4, insider_set, master_index, submissions

LINES, NOTES = [{"price": 1, "note": "F1"}] * 2, {"F1": "Under a 10b5-1 plan."}
FACTS = [("Assets", None, "2023-12-31", 5, "A", "10-K", "2024-02-01"),
         ("Revenues", "2023-01-01", "2023-12-31", 5, "A", "10-K", "2024-02-01")]  # fmt: skip
HEADER = {"accession": "A", "form": "8-K", "filed": "2024-03-01", "accepted": "2024-03-01T06:05:00", "items": "2.02"}
BODIES = {
    trades: form4(LINES, notes=NOTES).encode(),
    set_trades: insider_set([{"accession": "A", "filed": "2024-01-08", "lines": LINES, "notes": NOTES}]),
    index_filings: master_index([(1, "8-K", "2024-03-01", "0000000001-24-000001")] * 3),
    submitted_filings: submissions([HEADER]).encode(),
    figures: company_facts(FACTS).encode(),
    recent_figures: company_facts(FACTS).encode(),
}


def damaged(body: bytes, number: int) -> bytes:
    """A body with some bytes changed, lost or added, or without its end."""
    chance, out = random.Random(number), bytearray(body)
    for _ in range(chance.randint(1, 5)):
        at = chance.randrange(len(out))
        kind = chance.randrange(4)
        if kind == 0:
            out[at] = chance.randrange(256)
        elif kind == 1:
            del out[at : at + chance.randint(1, 30)]
        elif kind == 2:
            out[at:at] = chance.randbytes(3)
        else:
            out = out[: at + 1]
    return bytes(out)


@pytest.mark.parametrize("read", BODIES, ids=lambda read: read.__name__)
def test_a_damaged_body_is_read_or_refused(read):
    assert len(read(BODIES[read])) > 0
    refused = 0
    for number in range(150):
        try:
            read(damaged(BODIES[read], number))
        except UNREADABLE:
            refused += 1
    assert refused > 0


@pytest.mark.parametrize("body", [b"", b"\0", b"{}", b"[]", b"null", b"<a/>", b"[" * 3000, b"PK\x05\x06" + b"\0" * 18])
@pytest.mark.parametrize("read", BODIES, ids=lambda read: read.__name__)
def test_what_is_something_else_is_refused(read, body):
    with pytest.raises(UNREADABLE):
        read(body)


def test_a_set_that_unpacks_to_too_much_is_refused_unread(monkeypatch):
    monkeypatch.setattr("src.research.reading.insider_sets._UNPACKED", 1000)
    with pytest.raises(ValueError, match="unpacks to more than"):
        set_trades(BODIES[set_trades])


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"items": 5}', '{"items": null, "period": 7}'])
def test_fields_that_say_nothing_are_not_known(text):
    assert stated_fields(text) == (None, None, "", None)
