"""Say what passed and how much of it is luck: metrics.json, tables for `dvc plots`, and one page that opens offline.

``python -m src.report universe=full`` reads the grades, states and equity that training left and writes
``reports/<dataset>/``. The same inputs give the same bytes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.errors import StageError
from src.stage import main

if TYPE_CHECKING:
    import polars as pl

    from src.config import Config
    from src.reporting.material import Luck, Material

# What shaped the figures; engine and tracking did not, and source.path is this machine's own business.
_TOLD = ("universe", "source", "features", "label", "split", "strategy", "model", "grade")
_UNTOLD = ("source.path", "universe.file")


def report(config: Config) -> str:
    """Write the report of the configured dataset and return the closing line."""
    from src.files import write_json, write_text
    from src.reporting.page import page
    from src.reporting.picture import picture
    from src.reporting.summary import distribution, distribution_table, metrics, pass_rates

    folder = Path(config.data.reports) / config.dataset
    material = gather(config)
    write_json(metrics(material), folder / "metrics.json")
    for threshold in material.thresholds:
        table = distribution_table(distribution(material.grades, threshold))
        write_text(table.write_csv(), folder / "plots" / f"{threshold.metric}.csv")
    write_text(pass_rates(material).write_csv(), folder / "plots" / "pass_rates.csv")
    write_text(page(material), folder / "index.html")
    write_text(picture(material), folder / "picture.svg")
    return closing_line(material, folder / "index.html")


def gather(config: Config) -> Material:
    """Read all that the report shows.

    Raises
    ------
    StageError
        Where training has left no grades: names the missing command.
    """
    from src.reporting import material as made

    grades = made.tidy_grades(_grades(config))
    states = {
        path.stem: made.tidy_states(_read(path), path.stem)
        for path in sorted((Path(config.data.root) / "states" / config.dataset).glob("*.parquet"))
        if path.stem in made.STAGES
    }
    luck = luck_of(grades)
    about, planted, simulated = _bars(config)
    material = made.Material(
        dataset=config.dataset,
        grades=grades,
        states=states,
        luck=luck,
        groups=made.groups(grades, luck_of),
        thresholds=made.thresholds(config.grade),
        planted=planted,
        simulated=simulated,
        settings=settings(config),
        about=about,
    )
    return dataclasses.replace(material, equity=_equity(config, material))


def luck_of(grades: pl.DataFrame) -> Luck:
    """Measure a set of runs against luck, by the evidence that they carry."""
    from src.passes import session_evidence
    from src.reporting.material import Luck

    found = session_evidence(grades)
    seen = found.passes, found.instruments
    if grades.height and grades["luck_rate"].is_null().all():
        return Luck(*seen, None, None, None)
    if grades["shift_passes"].is_null().all():  # no range without common shifts; 0 to 0 would read as one
        return Luck(*seen, found.expected, None, None)
    by_instrument = (found.expected_instruments, found.low_instruments, found.high_instruments)
    return Luck(*seen, found.expected, found.low, found.high, found.sentence(), by_instrument)


def closing_line(material: Material, page: Path) -> str:
    """Give the stage's last line: instruments, runs, the sentence on luck, and where the page is."""
    from src.reporting.verdict import sentence
    from src.reporting.words import counted

    universe = max((table.height for table in material.states.values()), default=0)
    instruments, runs = counted(universe, "instrument"), counted(material.grades.height, "run")
    return f"report: {instruments}, {runs}; {sentence(material.luck)}; see {page.as_posix()}"


def settings(config: Config) -> dict[str, object]:
    """Flatten the choices that shaped the figures to dotted keys."""
    chosen = {name: dataclasses.asdict(getattr(config, name)) for name in _TOLD}
    flat = dict(_flat({**chosen, "data.until": config.data.until, "seed": config.seed}))
    return {key: value for key, value in flat.items() if key not in _UNTOLD}


def _flat(values: dict[str, Any], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        found += _flat(value, f"{name}.") if isinstance(value, dict) else [(name, value)]
    return found


def _grades(config: Config) -> pl.DataFrame:
    path = Path(config.data.root) / "grades" / f"{config.dataset}.parquet"
    if not path.exists():
        raise StageError(
            f"no grades for universe={config.dataset}: run `python -m src.train universe={config.dataset}` first"
        )
    return _read(path)


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    try:
        return pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise StageError(f"{path.as_posix()} can't be read ({str(error).splitlines()[0]}): make it again") from error


def _bars(config: Config) -> tuple[dict[str, str], frozenset[tuple[str, str]] | None, bool]:
    """Read what the bars' manifest tells: facts in words, planted instruments, whether the bars are simulated."""
    from src.bars import BarStore

    store = BarStore(Path(config.data.root) / "bars" / config.dataset)
    if not store.exists():
        return {}, None, config.source.kind == "simulated"
    manifest = store.manifest
    facts = {
        "bars": manifest.source,
        "interval": manifest.interval,
        "adjustment": manifest.basis,
        "bars until": manifest.until or "all that the source has",
    }
    if not manifest.complete:
        facts["hydration"] = "not complete yet: instruments still missing are not in these figures"
    planted = frozenset((kind, symbol) for kind, symbol in manifest.planted)
    return facts, planted or None, manifest.source == "simulated"


def _equity(config: Config, material: Material) -> pl.DataFrame:
    """Read the net equity of the passes that the page draws."""
    import polars as pl

    from src.reporting.material import matching_equity, tidy_equity
    from src.reporting.passing import best_instruments
    from src.runs import RunStore

    best = best_instruments(material)
    store = RunStore(Path(config.data.root) / "runs" / config.dataset)
    # The curve of a reused run stands with the session that graded it, not with the one that trained it.
    sessions = best.filter(pl.col("graded_by").is_not_null()).group_by("graded_by", maintain_order=True)
    found = [store.equity(runs["record_id"].to_list(), str(key)) for (key,), runs in sessions]
    curves = [tidy_equity(curve.rename({"always_long": "always_long_equity"}, strict=False)) for curve in found]
    return matching_equity(pl.concat([tidy_equity(pl.DataFrame()), *curves]), best)


if __name__ == "__main__":
    main("report", report)
