"""Forms 4 of simulated insiders: some know what the price will do, the others trade by the calendar."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from xml.sax.saxutils import escape

import numpy as np

from src.documents.document import Document
from src.research.sources.simulated.company import SimulatedCompany, cik, name

HORIZON = 60  # sessions that an insider knows something about
_KNOWING, _ROUTINE = 3, 3  # insiders of a company
_TRADES_A_YEAR = 4.0  # of an insider who knows
_LATE = 2  # sessions between the trade and its filing
_EVENING = dt.timedelta(hours=2, minutes=15)  # after the close: when the form is accepted


def forms(world: SimulatedCompany, strength: float) -> Iterator[Document]:
    """Generate the Forms 4 of one company.

    Parameters
    ----------
    world : SimulatedCompany
    strength : float
        Correlation, over the purchases and sales of those who know, between their direction's cause and the return of
        the sixty sessions from the second open after the acceptance.

    Yields
    ------
    Document
        Kind ``4``, body as the SEC's ownershipDocument.
    """
    for number in range(_KNOWING + _ROUTINE):
        random = world.random(f"insider {number}")
        owner = cik(world.symbol) + 1_000_000 * (number + 1)
        trades = _known(world, random, strength) if number < _KNOWING else _by_calendar(world, random)
        for at, sign in trades:
            yield _document(world, random, owner, number, at, sign)


def _known(world: SimulatedCompany, random: np.random.Generator, strength: float) -> Iterator[tuple[int, int]]:
    """Sessions of the trades of one who knows, and their signs."""
    n = len(world.dates)
    drawn = random.random(n) < _TRADES_A_YEAR / 252
    noise = random.standard_normal(n)
    outlook = np.r_[world.ahead(HORIZON)[_LATE + 1 :], np.zeros(_LATE + 1)][:n]  # of the first decision after it
    belief = strength * outlook + np.sqrt(1 - strength**2) * noise
    for at in np.flatnonzero(drawn[: max(n - _LATE - 1, 0)]):
        yield int(at), 1 if belief[at] > 0 else -1


def _by_calendar(world: SimulatedCompany, random: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Sessions of one who sells, or buys, in the same month of each year."""
    month, sign = int(random.integers(1, 13)), 1 if random.random() < 0.3 else -1
    months = world.dates.astype("datetime64[M]")
    first = np.r_[True, months[1:] != months[:-1]]
    due = np.flatnonzero(first & (months.astype(int) % 12 + 1 == month))
    for at in due:
        yield int(min(at + random.integers(0, 10), len(world.dates) - 1)), sign


def _document(
    world: SimulatedCompany, random: np.random.Generator, owner: int, number: int, at: int, sign: int
) -> Document:
    filed = min(at + _LATE, len(world.dates) - 1)
    accepted = world.closes[filed] + _EVENING
    shares = int(100 * np.ceil(np.exp(random.normal(2.5, 0.8))))
    price, held = round(float(np.exp(random.normal(3.5, 0.3))), 2), int(random.integers(5_000, 200_000))
    day = str(world.dates[at])
    accession = f"{owner:010d}-{accepted:%y}-{at:06d}"
    body = _FORM.format(
        day=day, issuer=f"{cik(world.symbol):010d}", company=escape(name(world.symbol)), symbol=world.symbol,
        owner=f"{owner:010d}", person=f"Insider {number + 1} of {world.symbol}", director=int(number % 2),
        officer=int(number % 2 == 0), title="Chief Financial Officer" if number % 2 == 0 else "",
        planned=int(number >= _KNOWING), code="P" if sign > 0 else "S", shares=shares, price=price,
        side="A" if sign > 0 else "D", held=held,
    )  # fmt: skip
    return Document(
        "simulated", accession, "4", world.seen, body.encode(), "filings", world.entity,
        f"{name(world.symbol)}: Form 4", event=dt.datetime.fromisoformat(day).replace(tzinfo=dt.UTC),
        accepted=accepted, fields={"owners": [owner]},
    )  # fmt: skip


_FORM = """<?xml version="1.0"?>
<ownershipDocument>
  <schemaVersion>X0508</schemaVersion>
  <documentType>4</documentType>
  <periodOfReport>{day}</periodOfReport>
  <issuer>
    <issuerCik>{issuer}</issuerCik>
    <issuerName>{company}</issuerName>
    <issuerTradingSymbol>{symbol}</issuerTradingSymbol>
  </issuer>
  <reportingOwner>
    <reportingOwnerId>
      <rptOwnerCik>{owner}</rptOwnerCik>
      <rptOwnerName>{person}</rptOwnerName>
    </reportingOwnerId>
    <reportingOwnerRelationship>
      <isDirector>{director}</isDirector>
      <isOfficer>{officer}</isOfficer>
      <isTenPercentOwner>0</isTenPercentOwner>
      <officerTitle>{title}</officerTitle>
    </reportingOwnerRelationship>
  </reportingOwner>
  <aff10b5One>{planned}</aff10b5One>
  <nonDerivativeTable>
    <nonDerivativeTransaction>
      <securityTitle><value>Common Stock</value></securityTitle>
      <transactionDate><value>{day}</value></transactionDate>
      <transactionCoding>
        <transactionFormType>4</transactionFormType>
        <transactionCode>{code}</transactionCode>
        <equitySwapInvolved>0</equitySwapInvolved>
      </transactionCoding>
      <transactionAmounts>
        <transactionShares><value>{shares}</value></transactionShares>
        <transactionPricePerShare><value>{price}</value></transactionPricePerShare>
        <transactionAcquiredDisposedCode><value>{side}</value></transactionAcquiredDisposedCode>
      </transactionAmounts>
      <postTransactionAmounts>
        <sharesOwnedFollowingTransaction><value>{held}</value></sharesOwnedFollowingTransaction>
      </postTransactionAmounts>
      <ownershipNature><directOrIndirectOwnership><value>D</value></directOrIndirectOwnership></ownershipNature>
    </nonDerivativeTransaction>
  </nonDerivativeTable>
</ownershipDocument>
"""
