"""Say what passed and how much of it is luck: metrics.json, tables for `dvc plots`, and one page that opens offline.

``python -m src.report universe=full`` reads the grades, states and equity that training left and writes
``reports/<dataset>/``. The same inputs give the same bytes.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.runtime.command import main

if TYPE_CHECKING:
    from src.config.schema import Config
    from src.reporting.session_data import Material

# What shaped the figures; engine and tracking did not, and paths are this machine's own business.
_TOLD = ("universe", "source", "features", "label", "split", "strategy", "model", "grade")
_UNTOLD = ("source.path", "universe.file")


def report(config: Config) -> str:
    """Write the report of the configured dataset and return the closing line."""
    from src.reporting.page import page
    from src.reporting.summary import metrics, plots
    from src.reporting.summary_image import picture
    from src.storage.atomic import write_json, write_text

    folder = Path(config.data.reports) / config.dataset
    material = gather(config)
    write_json(metrics(material), folder / "metrics.json")
    for name, table in plots(material).items():
        write_text(table.write_csv(), folder / "plots" / f"{name}.csv")
    write_text(page(material), folder / "index.html")
    write_text(picture(material), folder / "picture.svg")
    return closing_line(material, folder / "index.html")


def gather(config: Config) -> Material:
    """Read all that the report shows."""
    from src.reporting import loading
    from src.reporting.passing_runs import best_instruments
    from src.reporting.session_data import Material, groups, thresholds

    where = Path(config.data.root), config.dataset
    grades = loading.graded(*where)
    about, planted, simulated = loading.bars(*where)
    material = Material(
        dataset=config.dataset,
        grades=grades,
        states=loading.states(*where),
        luck=loading.luck_of(grades),
        groups=groups(grades, loading.luck_of),
        thresholds=thresholds(config.grade),
        planted=planted,
        simulated=simulated,
        settings=settings(config),
        about=about,
    )
    return dataclasses.replace(
        material,
        equity=loading.equity(*where, best_instruments(material)),
        importance=loading.importance(*where, material.grades),
    )


def closing_line(material: Material, page: Path) -> str:
    """Give the stage's last line: instruments, the sentence on passes and luck, and where the page is."""
    from src.reporting.formatting import counted
    from src.reporting.verdict import sentence

    universe = max((table.height for table in material.states.values()), default=0)
    return f"report: {counted(universe, 'instrument')}; {sentence(material.luck)} See {page.as_posix()}"


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


if __name__ == "__main__":
    main("report", report)
