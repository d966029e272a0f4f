"""Section `research` of the schema: documents from which sources, dated how, linked and scored by which rules."""

from __future__ import annotations

from dataclasses import dataclass, field

from src.core.field_rules import dated, named, one_of, ranged

_LAG = {"default": 24.0}


@dataclass
class EdgarSection:
    """What is taken from the SEC's EDGAR; its contact address is ``source.live.contact``."""

    enabled: bool = False
    # Forms whose documents are taken; the headers of all forms come with the indexes.
    forms: list[str] = field(default_factory=lambda: ["3", "4", "5", "8-K", "10-K", "10-Q"])
    texts: bool = True  # the main document of each 10-K, 10-Q and 8-K; false keeps headers alone
    insider_sets: bool = True  # the quarterly insider-transactions data sets, for the years before the first run
    fundamentals: bool = True  # companyfacts
    bulk: bool = False  # submissions.zip and companyfacts.zip in place of one request a company
    address: str = "https://www.sec.gov"
    data_address: str = "https://data.sec.gov"


@dataclass
class NewsSection:
    """RSS and Atom feeds."""

    enabled: bool = False
    feeds: list[str] = field(default_factory=list)  # addresses; {symbol} stands for each symbol of research.watch
    every_minutes: float = ranged(30.0, low=1, high=10_000, unit="minutes")  # between two requests for one feed


@dataclass
class PapersSection:
    """Papers of arXiv."""

    enabled: bool = False
    categories: list[str] = field(default_factory=lambda: ["q-fin.*"])
    address: str = "https://export.arxiv.org/api/query"


@dataclass
class GdeltSection:
    """GDELT's global knowledge graph, by its files of 15 minutes."""

    enabled: bool = False
    address: str = "https://data.gdeltproject.org/gdeltv2"
    days: float = ranged(2.0, low=0, high=4000, unit="days")  # before the first run that are taken too
    themes: list[str] = field(default_factory=lambda: ["ECON_STOCKMARKET", "ECON_EARNINGSREPORT"])


@dataclass
class FolderSection:
    """A folder of the user's own research: PDF, Word, Markdown, text, HTML and CSV."""

    enabled: bool = False
    path: str = "data/research/inbox"


@dataclass
class StocktwitsSection:
    """Messages of StockTwits on the symbols of research.watch."""

    enabled: bool = False
    address: str = "https://api.stocktwits.com/api/2"


@dataclass
class RedditSection:
    """Posts of Reddit, by the user's own app: REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET in the environment or .env."""

    enabled: bool = False
    subreddits: list[str] = field(default_factory=lambda: ["stocks", "investing", "wallstreetbets"])
    address: str = "https://oauth.reddit.com"
    token_address: str = "https://www.reddit.com"


@dataclass
class SimulatedResearchSection:
    """Documents about simulated instruments, with effects of known size; for source=simulated alone."""

    enabled: bool = False
    # Correlation of what an insider's purchase says with the instrument's own return over the following 60 sessions.
    insiders: float = ranged(0.4, low=0, high=1)
    # Correlation of a news text's tone with the return of the following session.
    text: float = ranged(0.3, low=0, high=1)
    seed: int = ranged(2024, low=0, high=2**32 - 1)


@dataclass
class ScoringSection:
    """How texts get a tone."""

    model: str = one_of("learned", ("learned", "dictionary", "transformer", "none"))
    horizon: int = ranged(1, low=1, high=60, unit="sessions")  # of the return that word weights are learned from
    refit_months: int = ranged(6, low=1, high=60, unit="months")  # between two fits of the word weights
    min_documents: int = ranged(500, low=10, high=10_000_000, unit="documents")  # before the first fit
    dictionary: str | None = None  # the user's file of Loughran-McDonald lists (CSV as published)
    transformer: str | None = None  # folder with model.onnx, tokenizer.json and config.json


@dataclass
class ResearchConfig:
    """Which sources of research are asked, and how their documents become facts about instruments."""

    name: str = named("stored")
    folder: str | None = None  # of the documents; a shared path works; null: data/research/documents
    start: str = dated("2014-01-01")  # first date wanted of sources that have a past
    # Hours added to the publisher's time where history is back-filled, by source.
    lag_hours: dict[str, float] = ranged(_LAG, low=0, high=10_000, unit="hours")
    # Longest time that a run asks; what is still due then waits for the next one. null: until all is asked.
    minutes: float | None = ranged(None, low=0, high=100_000, unit="minutes", above=True)
    # Symbols that are asked for one by one (social sources, feeds with {symbol}), "AAPL" or "stock:AAPL".
    watch: list[str] = field(default_factory=list)
    watch_limit: int = ranged(50, low=1, high=1000, unit="symbols")  # of the watchlist; never the whole universe
    min_confidence: float = ranged(0.7, low=0, high=1)  # of a link between a text and an instrument
    edgar: EdgarSection = field(default_factory=EdgarSection)
    news: NewsSection = field(default_factory=NewsSection)
    papers: PapersSection = field(default_factory=PapersSection)
    gdelt: GdeltSection = field(default_factory=GdeltSection)
    own: FolderSection = field(default_factory=FolderSection)
    stocktwits: StocktwitsSection = field(default_factory=StocktwitsSection)
    reddit: RedditSection = field(default_factory=RedditSection)
    simulated: SimulatedResearchSection = field(default_factory=SimulatedResearchSection)
    scoring: ScoringSection = field(default_factory=ScoringSection)
