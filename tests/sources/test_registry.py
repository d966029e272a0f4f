"""The registry of sources: what every declaration must satisfy, and that one more file is one more source."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from src import sources
from src.config.schema import LiveSource, SourceConfig
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES
from src.core.project import ROOT
from src.fetching.provider import BarRequest
from src.hydrate import hydrate
from src.market.bars import BarStore
from src.sources import registry
from src.sources.declaration import FileSource, LiveProvider
from tests import process_case
from tests.market_case import config as configured

HEAVY = ("ccxt", "yfinance", "curl_cffi", "requests")
TOY_PROVIDER = """
import polars as pl
from src.fetching.provider import EVENTS, Answer, Unknown, raw_schema
from src.sources.declaration import LiveProvider
from tests.market_case import series

ASKED = []

class Toy:
    name = "toy"
    def __init__(self, gate): self.gate = gate
    def close(self): pass
    def fetch(self, request):
        self.gate.enter()
        self.gate.answered()
        ASKED.append((request.symbol, request.name))
        if request.symbol == "ELSEWHERE":
            raise Unknown("no such symbol")
        rows = series(request.symbol, 1500).with_columns(source=pl.lit("toy"), adj_close=pl.lit(None, pl.Float64))
        return Answer(rows.select(raw_schema("1d").keys()), pl.DataFrame(schema=EVENTS), {"currency": "USD"})

SOURCE = LiveProvider("toy", lambda name, settings, gate: Toy(gate), ("stock",), rate=500.0, names={"OWN": "OWN-T"})
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose modules are sources too while a test runs."""
    place = tmp_path / "more_sources"
    place.mkdir()
    monkeypatch.setattr(sources, "__path__", [*sources.__path__, str(place)])
    registry.declarations.cache_clear()
    yield place
    monkeypatch.undo()
    registry.declarations.cache_clear()
    for path in place.glob("*.py"):
        sys.modules.pop(f"src.sources.{path.stem}", None)
        vars(sources).pop(path.stem, None)


def declared() -> list[FileSource | LiveProvider]:
    return list(registry.declarations().values())


@pytest.mark.parametrize("source", declared(), ids=lambda source: source.name)
def test_every_source_has_the_name_of_its_module_and_an_option(source: FileSource | LiveProvider) -> None:
    assert sys.modules[f"src.sources.{source.name}"].SOURCE is source
    option = yaml.safe_load((ROOT / "conf" / "source" / f"{source.name}.yaml").read_text(encoding="utf-8"))
    assert option["kind"] == source.name
    if isinstance(source, LiveProvider):
        assert set(option["live"]["chain"]) <= set(source.asset_classes) <= set(ASSET_CLASSES)


def test_every_option_names_a_source_and_chains_that_are_served() -> None:
    for path in (ROOT / "conf" / "source").glob("*.yaml"):
        option = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert option["kind"] in {*registry.declarations(), registry.AUTO}
        for kind, links in option.get("live", {}).get("chain", {}).items():
            assert all(kind in declared.asset_classes for _, declared in registry.providers(links))


def test_to_know_the_sources_loads_no_client_library() -> None:
    code = f"import sys; from src.sources import registry; registry.declarations(); print({HEAVY} & sys.modules.keys())"
    code = code.replace(str(HEAVY), str(set(HEAVY)))
    done = process_case.run([sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True, check=True)
    assert done.stdout.strip() == "set()"


def test_capabilities_are_asked_by_name() -> None:
    assert registry.archive_names() == ("folder", "stooq")
    assert registry.is_live("auto") and registry.is_live("yahoo") and not registry.is_live("folder")
    assert registry.is_simulated("simulated") and not registry.is_simulated("gone")
    assert registry.provider("kraken") is registry.provider("ccxt") and registry.provider("kraken").lists_coins
    assert registry.provider("yahoo").quotes_options and not registry.provider("kraken").quotes_options
    assert [registry.suggested(kind) for kind in ASSET_CLASSES] == ["yahoo", "yahoo", "coinbaseexchange"]
    assert [link for link, _ in registry.providers(["stooq", "yahoo"])] == ["yahoo"]
    with pytest.raises(ConfigError, match="simulated is not a live provider: name one of ccxt, yahoo"):
        registry.provider("simulated")


def test_a_provider_begins_with_its_declared_rate_unless_the_settings_have_one() -> None:
    assert registry.gate("yahoo", LiveSource()).rate == 0.5
    assert registry.gate("yahoo", LiveSource(rates={"yahoo": 0.25})).rate == 0.25


def test_a_name_that_is_declared_twice_is_refused(folder: Path) -> None:
    text = "from src.sources.declaration import FileSource\nSOURCE = FileSource({!r}, None, None)\n"
    (folder / "second.py").write_text(text.format("stooq"))
    with pytest.raises(ValueError, match=r"src.sources.\w+ declares a source named stooq, a name that is taken"):
        registry.declarations()


def test_a_second_provider_of_exchanges_is_refused(folder: Path) -> None:
    (folder / "other.py").write_text(TOY_PROVIDER.replace("rate=500.0", 'exchange_example="kraken"'))
    with pytest.raises(ValueError, match="ccxt and toy both serve exchanges by name"):
        registry.declarations()


def test_a_provider_of_ones_own_is_asked_through_the_chain(folder: Path, tmp_path: Path) -> None:
    (folder / "toy.py").write_text(TOY_PROVIDER)
    config = configured(tmp_path, source__kind="toy", source__basis="split_adjusted")
    config.universe.symbols = ["stock:AAA", "stock:OWN"]
    config.source.live = LiveSource(chain={"stock": ["toy"]}, start="2019-01-01")
    hydrate(config)
    assert set(sys.modules["src.sources.toy"].ASKED) == {("AAA", ""), ("OWN", "OWN-T")}
    store = BarStore(tmp_path / "data" / "bars" / "mine")
    assert store.manifest.source == "toy" and store.instruments()["state"].to_list() == ["done", "done"]


def test_a_provider_of_ones_own_takes_over_what_the_one_before_it_does_not_know(folder: Path, tmp_path: Path) -> None:
    first = TOY_PROVIDER.replace('"toy"', '"first"').replace('request.symbol == "ELSEWHERE"', "True")
    (folder / "first.py").write_text(first)
    (folder / "toy.py").write_text(TOY_PROVIDER)
    config = configured(tmp_path, source__kind="auto", source__basis="auto")
    config.universe.symbols = ["stock:AAA"]
    config.source.live = LiveSource(chain={"stock": ["first", "toy"]}, start="2019-01-01", pause=0.01)
    hydrate(config)
    assert {symbol for symbol, _ in sys.modules["src.sources.first"].ASKED} == {"AAA"}
    assert set(sys.modules["src.sources.toy"].ASKED) == {("AAA", "")}


def test_an_unknown_kind_is_refused_with_all_names_and_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"must be one of ccxt, .*, auto, got yaho; did you mean yahoo\?"):
        registry.source_files(SourceConfig(kind="yaho"))


def test_a_request_goes_by_the_providers_own_name_where_it_has_one() -> None:
    from src.sources.yahoo.source import yahoo_name

    name = registry.provider("yahoo").names["UNI-USD"]
    assert yahoo_name(BarRequest("crypto", "UNI-USD", start=None, name=name)) == "UNI7083-USD"
