"""Types of instruments: names as exchanges write them, checked by hand, and the whole of two real files."""

import pytest

from src.listings.directory import FILES, entries
from src.listings.types import STOCK_TYPES, TYPES, SecurityType, otc_security_type, security_type
from tests.market_case import MARKET

NASDAQ = [
    ("AACB", "Artius II Acquisition Inc. - Class A Ordinary Shares", "common"),
    ("AACBR", "Artius II Acquisition Inc. - Rights", "right"),
    ("AACBU", "Artius II Acquisition Inc. - Units", "unit"),
    ("AACG", "ATA Creativity Global - American Depositary Shares, each representing two common shares", "adr"),
    ("ARCC", "Ares Capital Corporation - Closed End Fund", "fund"),
    ("ARLP", "Alliance Resource Partners, L.P. - Common Units Representing Limited Partnership Interests", "common"),
    ("ASML", "ASML Holding N.V. - New York Registry Shares", "common"),
    ("CADE", "Preferred Bank - Common Stock", "common"),
    ("CDZIP", "Cadiz, Inc. - Depositary Shares", "preferred"),
    ("EXEEL", "Expand Energy Corporation - Class C Warrants", "warrant"),
    (
        "FITBI",
        "Fifth Third Bancorp - Depositary Share repstg 1/1000th Ownership Interest Perp Pfd Series I",
        "preferred",
    ),
    ("GENVR", "Gen Digital Inc. - Contingent Value Rights", "right"),
    ("GGAL", "Grupo Financiero Galicia S.A. - American Depositary Shares, Class B Shares underlying", "adr"),
    ("IBIT", "iShares Bitcoin Trust ETF - iShares Bitcoin Trust ETF", "etf"),
    ("IEP", "Icahn Enterprises L.P. - Depositary Units representing Limited Partner Interests", "common"),
    ("IROHR", "Iron Horse Acquisitions Corp. - one right to one-fifth (1/5) of one share of common stock", "right"),
    ("MARPS", "Marine Petroleum Trust - Units of Beneficial Interest", "common"),
    ("ORGO", "Organogenesis Holdings Inc.  - Class A ", "common"),
    ("PSNYW", "Polestar Automotive Holding UK Limited - Class C-1 ADS (ADW)", "warrant"),
    ("REGCO", "Regency Centers Corporation - 5.875% Series B Cumulative Redeemable Preferred Stock", "preferred"),
    (
        "RGTIW",
        "Rigetti - Redeemable warrants, each whole warrant exercisable for one Class A ordinary share",
        "warrant",
    ),
    ("RWAYL", "Runway Growth Finance Corp. - 7.50% Notes due 2027", "note"),
    ("USOI", "ETRACS Crude Oil Shares Covered Call ETNs due April 24, 2037", "etn"),
]
OTHER = [
    ("A", "Agilent Technologies, Inc. Common Stock", "common"),
    ("AACT.U", "Ares Acquisition Corporation II Units, each consisting of one Class A ordinary share", "unit"),
    ("AACT.W", "Ares Acquisition Corporation II Redeemable Warrants, each whole warrant exercisable", "warrant"),
    ("AB", "AllianceBernstein Holding L.P.  Units", "common"),
    ("ABR$D", "Arbor Realty Trust 6.375% Series D Cumulative Redeemable Preferred Stock, Liquidation", "preferred"),
    ("ACP", "abrdn Income Credit Strategies Fund Common Shares", "fund"),
    ("ACP$A", "abrdn Income Credit Strategies Fund 5.250% Series A Perpetual Preferred Stock", "preferred"),
    ("AFGB", "American Financial Group, Inc. 5.875% Subordinated Debentures due 2059", "note"),
    ("ALL$B", "Allstate Corporation (The) 5.100% Fixed-to-Floating Rate Subordinated Debentures due 2053", "note"),
    ("ATCO$H", "Atlas Corp. 7.875% Series H", "preferred"),
    ("AVAL", "Grupo Aval Acciones y Valores S.A. ADR (Each representing 20 preferred shares)", "adr"),
    ("BAR", "GraniteShares Gold Trust Shares of Beneficial Interest", "etf"),
    ("BDJ", "Blackrock Enhanced Equity Dividend Trust", "fund"),
    ("BRK.B", "Berkshire Hathaway Inc. Common Stock", "common"),
    ("BTI", "British American Tobacco  Industries, p.l.c. Common Stock ADR", "adr"),
    ("CELG.R", "Bristol-Myers Squibb Company Celegne Contingent Value Rights", "right"),
    ("CMRE", "Costamare Inc. Common Stock $0.0001 par value", "common"),
    ("DDT", "Dillard's Capital Trust I", "preferred"),
    ("DFP", "Flaherty & Crumrine Dynamic Preferred and Income Fund Inc. Common Stock", "fund"),
    ("EAI", "Entergy Arkansas, LLC First Mortgage Bonds, 4.875% Series Due September 1, 2066", "note"),
    ("FLG$U", "Flagstar Financial, Inc. Bifurcated Option Note Unit SecuritiES", "unit"),
    ("GLOP$A", "GasLog Partners LP 8.625% Series A Cumulative Redeemable Preference Units", "preferred"),
    ("GRP.U", "Granite Real Estate Inc. Units", "common"),
    ("GS$D", "Goldman Sachs Group, Inc. (The) Dep Shs repstg 1/1000 Pfd Ser D Fltg", "preferred"),
    ("HESM", "Hess Midstream LP Class A Representing Limited Partner Interests", "common"),
    ("HPS", "John Hancock Preferred Income Fund III Preferred Income Fund III", "fund"),
    ("KTN", "Structured Products Corp 8.205% CorTS 8.205% Corporate Backed Trust Securities (CorTS)", "note"),
    ("NEE$R", "NextEra Energy, Inc. 6.926% Corporate Units", "unit"),
    ("NOTE", "FiscalNote Holdings, Inc. Class A Common Stock", "common"),
    ("NXG.V", "NXG NextGen Infrastructure Income Fund Rights (expiring August 13, 2025) Rights when issued", "right"),
    ("PAC", "Grupo Aeroportuario Del Pacifico, S.A. de C.V. (each representing 10 Series B shares)", "adr"),
    ("PEB", "Pebblebrook Hotel Trust Common Shares of Beneficial Interest", "common"),
    ("PSA$F", "Public Storage Depositary Shares Each Representing 1/1,000 of a 5.15% Preferred Share", "preferred"),
    ("SCE$L", "SCE TRUST VI", "preferred"),
    ("T", "AT&T Inc.", "common"),
    ("UNT", "Unit Corporation Common Stock", "common"),
    ("VXX", "iPath Series B S&P 500 VIX Short-Term Futures ETN", "etn"),
]


@pytest.mark.parametrize(("symbol", "title", "kind"), NASDAQ, ids=[row[0] for row in NASDAQ])
def test_a_nasdaq_security_is_what_its_name_says_after_the_dash(symbol, title, kind):
    assert security_type(symbol, title, False, True).type == kind


@pytest.mark.parametrize(("symbol", "title", "kind"), OTHER, ids=[row[0] for row in OTHER])
def test_another_exchanges_security_is_what_its_name_ends_with(symbol, title, kind):
    assert security_type(symbol, title, False, False).type == kind


def test_the_etf_column_wins_over_the_name():
    assert security_type("PFF", "iShares Preferred and Income Securities Common Stock", True, True) == SecurityType(
        "etf", "flag"
    )


def test_a_name_that_says_nothing_leaves_the_fifth_letter_or_common_by_assumption():
    assert security_type("ABCDW", "Some Corp", False, True) == SecurityType("warrant", "symbol")
    assert security_type("ABCDP", "Some Corp", False, True) == SecurityType("preferred", "symbol")
    assert security_type("ABCDE", "Some Corp", False, True) == SecurityType("common", "assumed")
    assert security_type("ABCDW", "Some Corp", False, False) == SecurityType("common", "assumed"), (
        "a fifth letter means it on Nasdaq alone"
    )


OTC = [("NSRGY", "adr"), ("NTDOF", "common"), ("FNMAS", "common"), ("ABCDP", "preferred"), ("ABCDW", "warrant")]
OTC += [("BRK-A", "common"), ("XX-PB", "preferred"), ("YY-WT", "warrant"), ("ABCDQ", "common"), ("FNMA", "common")]


@pytest.mark.parametrize(("symbol", "kind"), OTC)
def test_the_fifth_letter_gives_the_type_of_an_over_the_counter_name(symbol, kind):
    assert otc_security_type(symbol).type == kind


@pytest.mark.skipif(not MARKET.exists(), reason="no real directory here")
def test_nearly_all_names_in_two_real_files_reveal_their_type():
    parts = {}
    for file in FILES:
        (path,) = (MARKET / "symbols").glob(f"{file}_*.txt")
        parts[file] = entries(path.read_text(encoding="utf-8"), file)
    kinds = {}
    for frame in parts.values():
        for kind, number in frame.group_by("type").len().rows():
            kinds[kind] = kinds.get(kind, 0) + number
    assert set(kinds) == set(TYPES) and sum(kinds.values()) == 11_546
    assert sum(frame.filter(frame["type_source"] == "assumed").height for frame in parts.values()) < 0.01 * 11_546
    assert 5_050 < kinds["common"] < 5_200 and 330 < kinds["adr"] < 360 and 390 < kinds["fund"] < 420
    assert kinds["warrant"] > 400 and kinds["preferred"] > 480 and kinds["note"] > 185 and kinds["unit"] > 140
    fifths = parts["nasdaqlisted"].filter(
        parts["nasdaqlisted"]["symbol"].str.contains(r"^[A-Z]{4}[WRU]$"),
        parts["nasdaqlisted"]["type"].is_in(["common", "adr"]),
    )
    assert fifths.height == 0, "a name and its fifth letter contradict each other"


def test_types_are_those_of_the_config():
    assert set(STOCK_TYPES) | {"etf", "etn"} == set(TYPES)
