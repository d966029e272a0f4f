"""Speed of reading, checking, valuing, storing and asking for option chains, printed and not asserted: `make bench`."""

import datetime as dt
import sys
import time

import polars as pl
import pytest

from src.chains.quotes import contract_table, with_flags
from src.chains.store import OptionStore, contracts
from src.options.staleness import age_flags
from src.options.valuation import with_values
from tests.options.oracles import CAPTURED, chain

CONTRACTS = 100_000
EXPIRIES = tuple(CAPTURED.date() + dt.timedelta(days=days) for days in (2, 9, 16, 30, 58, 93, 128, 184, 310, 702))


def underlying(number: int):
    """1,220 contracts of one underlying, quoted a tick around their model prices."""
    return chain(f"U{number:03d}", sigma=0.2 + number % 7 / 20, expiries=EXPIRIES, strikes=tuple(range(70, 131)))


@pytest.mark.timeout(600)
def test_a_hundred_thousand_contracts(tmp_path, capsys):
    chains = [underlying(number) for number in range(CONTRACTS // 1220 + 1)]
    total = sum(each.contracts.height for each in chains)
    spent = dict.fromkeys(("checked", "valued", "stored"), 0.0)
    store = OptionStore(tmp_path)
    for each in chains:
        marks = [time.process_time()]
        rows = contract_table(each, "stock")
        rows = with_flags(rows, **age_flags(rows))
        marks.append(time.process_time())
        rows = with_values(rows, 0.04)
        marks.append(time.process_time())
        store.write(rows, CAPTURED)
        marks.append(time.process_time())
        for name, start, end in zip(spent, marks[:-1], marks[1:], strict=True):
            spent[name] += end - start
    started = time.perf_counter()
    found = contracts(tmp_path, "U007", moneyness=(0.9, 1.1), flags={"clean": True})
    one = time.perf_counter() - started
    started = time.perf_counter()
    every = contracts(tmp_path, moneyness=(0.95, 1.05), type="put", columns=["underlying", "strike", "iv"])
    whole = time.perf_counter() - started
    assert found.height and every["underlying"].n_unique() == len(chains) and isinstance(found, pl.DataFrame)
    with capsys.disabled():
        lines = [f"{total:,} contracts of {len(chains)} underlyings, CPU seconds for 100,000:"]
        lines += [f"  {name:8} {seconds * 1e5 / total:6.2f}" for name, seconds in spent.items()]
        lines += [f"  asked for one underlying {one * 1e3:.0f} ms, for all of them {whole * 1e3:.0f} ms", ""]
        sys.stdout.write("\n".join(["", *lines]))
