"""Words that mean something else than a company, words that surround companies, and names that no table has."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

_FILE = Path(__file__).with_name("english_words.csv")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Names that texts use for an index, a market, a source of news or a month: these need a legal form, or a tag.
RESERVED = _words(
    "news nasdaq dow s&p russell reuters yahoo moodys morningstar jan feb mar apr jun jul aug sep oct nov dec"
)

# Capital letters that stand for something else in financial prose. Written by hand.
ACRONYMS = _words(
    """
    A I AI AM API APP AR ASAP ATM AUM AWS BEV BPS BTW CAGR CAPEX CBD CBO CDC CDS CEO CES CFO CFTC CIA CIO CMO COO
    COVID CPA CPI CPU CRM CTO DAO DC DCF DD DIY DJ DJIA DNA DOD DOE DOJ DOT DTC EBIT ECB EIA EM EPA EPS ER ESG EST
    ET ETA ETF ETFS ETN EU EUR EV EVS FAA FAQ FBI FCC FCF FDA FED FOMC FOMO FTC FX FY FYI GAAP GDP GBP GMT GPS GPU
    GPT HIV HQ HR HSA ICO II III IMF IMO IOT IP IPO IRA IRS ISM IT ITM IV JPY KPI LA LBO LED LLC LLM LLP LNG LP
    LTM MA MACD MBA MBS MD ML MOM MOU MRI NASA NATO NAV NFL NFT NBA NDA NGO NY NYC NYSE OEM OK OPEC OTC OTM PC PCE
    PDF PDT PE PEG PH PHD PM PMI POS PPI PR PT QA QE QOQ QT REIT RFP RNA ROA ROE ROI RSI SA SAAS SEC SMA SMS SPAC
    SSD TA TAM TBA TBD TD TLDR TSA TV UAE UAW UI UK UN US USA USB USD USPS UX VA VAT VC VIP VIX VP VPN VR WFH WHO
    WTF WTI WTO XI YOLO YOY YTD Q
    """
)
CURRENCIES = _words(
    """
    us usd cad aud nzd hkd sgd eur gbp jpy m mm b bn k t mn tn mil bil
    """
)
EXCHANGES = _words(
    """
    nasdaq nasdaqgs nasdaqgm nasdaqcm nasdaq-gs nyse nysearca nyseamerican nysemkt amex cboe bats otc otcqb otcqx
    otcmkts otcpk pink arca ticker symbol tickers symbols stock
    """
)
FORMS = _words(
    """
    inc incorporated corp corporation co company companies ltd limited plc llc lp llp sa nv ag se ab asa spa bv
    oyj kgaa adr ads nl kk gmbh pty aktiengesellschaft
    """
)
FINANCE = _words(
    """
    share shares stock stocks earnings revenue revenues profit profits loss quarter quarterly results analyst
    analysts ceo cfo sales forecast forecasts outlook guidance dividend dividends buyback acquisition acquire
    acquires acquired merger takeover bid investor investors shareholder shareholders shareholders' nasdaq nyse
    trading traders estimates eps ipo upgrade upgraded upgrades downgrade downgraded downgrades rating overweight
    underweight bond bonds debt billion million fiscal filing filings lawsuit company company's retailer chipmaker
    bank insurer maker automaker drugmaker calls puts bullish bearish premarket rally rallied market cap valuation
    margin margins layoffs stake unit deal recalls recalled sues sued unveils unveiled
    launches hires jobs workers employees customers consumers shoppers prices antitrust regulators industry
    """
)
FOLLOWERS = _words(
    """
    share shares stock stocks earnings revenue revenues profit profits sales results ceo cfo coo chief chairman
    executive guidance outlook forecast dividend buyback investors shareholders options calls puts bonds bulls
    bears reports reported reporting posts posted beats beat misses missed raises raised cuts cut slashes says
    said tells announces announced unveils unveiled launches launched files filed sues sued plans planned will is
    was has had to tops topped names named appoints appointed plunges plunged jumps jumped falls fell soars soared
    slides slid drops dropped rises rose gains gained surges surged tumbles tumbled sinks sank climbs climbed
    rallies rallied slumps slumped buys bought sells sold acquires acquired agrees agreed expects expected warns
    warned hires hired fires fired recalls recalled settles settled pays paid wins won loses lost gets got faces
    faced halts halted closes closed opens opened upgraded downgraded up down inc corp shareholder valued trades
    traded trading hits hit lays laid spends spent delivers delivered boosts boosted lifts lifted hikes lowers
    lowered reaffirms sees saw swings stumbles suspends delays
    """
)
SMALL = _words("of the and for de la")
FUNCTION = _words(  # words that may stand in capitals before a name because they open a sentence
    """
    a an and are as at behind but by can could did do does for from had has have how if in into is it its like may meet
    more no not of off on or our over should so than that the their these this to under up was we what when where which
    while who why will with would after before against about also are analyst analysts rival rivals retailer chipmaker
    automaker drugmaker insurer bank sources update exclusive breaking watch buy sell hold shares stocks opinion report
    """
)
INDUSTRY = _words(
    """
    platforms technologies technology pharmaceuticals pharmaceutical pharma therapeutics biosciences
    biotherapeutics biotechnology systems networks network software energy bancorp bancshares financial airlines
    communications entertainment stores brands foods resources industries semiconductor semiconductors solutions
    sciences medical health healthcare labs laboratories global international worldwide motors motor petroleum oil
    gas wholesale interactive enterprises enterprise products services us usa hotels resorts restaurants cruise lines
    materials chemical manufacturing holdings holding group trust reit partners com data robotics automotive
    aerospace
    """
)
# Verbs of analysts: "Citigroup Upgrades AbbVie" is about AbbVie, and so is "Citigroup Raises PT on AbbVie".
ANALYSES = _words("upgrades downgrades maintains reiterates initiates reinstates assumes resumes neutral overweight")
MOVES = _words("raises lowers cuts boosts hikes lifts trims slashes ups drops increases decreases adjusts sets removes")
TARGETS = _words("pt pts price target targets estimates")
BOUGHT = _words("buy buying bought sell selling sold long short shorting holding own owning hold adding dumping")
PHRASES = {  # words of which these make something else, if they stand before
    "target": _words("price profit sales revenue earnings growth inflation pt upside emissions takeover"),
    "gap": _words("pay trade wage gender safety output spending funding age"),
    "apple": _words("big"),
    "visa": _words("work student tourist golden"),
}
# What the public calls companies whose registered name is another, by CIK. Written by hand from their own reports.
BRANDS: dict[int, tuple[str, ...]] = {
    1652044: ("google", "youtube", "waymo"), 1326801: ("facebook", "instagram", "whatsapp", "meta"), 37996: ("ford",),
    1744489: ("disney",), 80424: ("p&g",), 51143: ("ibm",), 34088: ("exxon", "exxonmobil"), 19617: ("jpmorgan",),
    2115436: ("exxon", "exxonmobil"), 59478: ("lilly",), 831001: ("citi", "citibank"), 70858: ("bofa",),
    886982: ("goldman",), 1067983: ("berkshire",), 1018724: ("amazon",), 1046179: ("tsmc",), 2488: ("amd",),
    1467858: ("gm",), 27904: ("delta airlines", "delta"), 104169: ("wal mart",), 21344: ("coke",), 858877: ("cisco",),
}  # fmt: skip
# Names of coins, by the base of their pair.
COINS: dict[str, tuple[str, ...]] = {
    "BTC": ("bitcoin",), "ETH": ("ethereum", "ether"), "SOL": ("solana",), "DOGE": ("dogecoin",), "ADA": ("cardano",),
    "XRP": ("xrp", "ripple"), "LTC": ("litecoin",), "DOT": ("polkadot",), "LINK": ("chainlink",),
    "AVAX": ("avalanche",), "BCH": ("bitcoin cash",), "BNB": ("binance coin",), "SHIB": ("shiba inu",),
    "TRX": ("tron",), "XLM": ("stellar lumens",), "XMR": ("monero",), "UNI": ("uniswap",), "ATOM": ("cosmos",),
    "ETC": ("ethereum classic",), "FIL": ("filecoin",), "NEAR": ("near protocol",), "ALGO": ("algorand",),
    "MATIC": ("polygon",), "AAVE": ("aave",), "XTZ": ("tezos",), "EOS": ("eos",), "ZEC": ("zcash",), "DASH": (),
}  # fmt: skip


@cache
def english() -> frozenset[str]:
    """English words that are also symbols or parts of names of US listings.

    Returns
    -------
    frozenset of str
        In lower case: words of Webster's New International Dictionary of 1934 (the list ``web2`` that FreeBSD ships, in
        the public domain), and their plurals and participles, that occur as a symbol or in a name in the NASDAQ
        Trader's directories of 2025-07-21 or in the SEC's table of tickers.
    """
    with _FILE.open(encoding="utf-8", newline="") as file:
        return frozenset(row["word"] for row in csv.DictReader(file))
