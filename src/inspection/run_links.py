"""Where MLflow shows a dataset, and the runs of one instrument side by side."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from src.config.commands import command
from src.config.schema import Config
from src.core.instruments import Key
from src.inspection.files import read_table
from src.tracking.links import LOCAL, compare_address, experiment_id, experiment_ids, runs_address, server_address
from src.tracking.location import StoreLocation, store_location
from src.tracking.registry_sql import registry_query

_RUNS = (
    "SELECT r.run_uuid FROM tags s JOIN runs r ON r.run_uuid = s.run_uuid JOIN tags c ON c.run_uuid = s.run_uuid "
    "AND c.key = 'asset_class' AND c.value = ? LEFT JOIN latest_metrics m ON m.run_uuid = s.run_uuid AND m.key = 'z' "
    "WHERE s.key = 'symbol' AND s.value = ? AND r.experiment_id = ? AND r.lifecycle_stage = 'active' "
    "AND NOT EXISTS (SELECT 1 FROM tags t WHERE t.run_uuid = r.run_uuid AND t.key IN ('alpha.superseded', 'arm')) "
    "ORDER BY m.value IS NULL, m.value DESC, r.run_uuid"
)


def comparison(config: Config, key: Key, server: str = LOCAL) -> tuple[int, str] | None:
    """Find the runs of an instrument and the page that compares them, the strongest evidence first.

    Parameters
    ----------
    config : Config
    key : (asset_class, symbol)
    server : str
        Where MLflow's pages are; a tracking server's own address goes first.

    Returns
    -------
    (int, str) or None
        Number of runs and the address; None where MLflow has no run of the instrument.

    Raises
    ------
    StoreUnreachable
        If PostgreSQL does not answer.
    """
    location = store_location(config.tracking)
    if location.is_server:
        return _of_grades(config, location, key)
    number = experiment_id(location, f"{config.tracking.experiment}/{config.dataset}")
    with registry_query(location) as query:
        if query is None or number is None:
            return None
        runs = [run_id for (run_id,) in query(_RUNS, (*key, int(number)))]
    return (len(runs), compare_address(number, runs, server)) if runs else None


def dataset_lines(config: Config, server: str) -> Iterator[tuple[str, str]]:
    """Yield the page of each dataset, the chosen one first: its line, and its address.

    Parameters
    ----------
    config : Config
    server : str
    """
    prefix = f"{config.tracking.experiment}/"
    found = experiment_ids(store_location(config.tracking))
    numbers = {name.removeprefix(prefix): number for name, number in found.items() if name.startswith(prefix)}
    if config.dataset in numbers:
        address = runs_address(numbers[config.dataset], server)
        yield f"runs of {config.dataset}, the strongest evidence first: {address}", address
    else:
        train = command("train", dataset=config.universe.name)
        yield f"MLflow has no run of {config.dataset} yet: run {train}", ""
    for name in sorted(numbers.keys() - {config.dataset}):
        address = runs_address(numbers[name], server)
        yield f"runs of {name}: {address}", address


def _of_grades(config: Config, location: StoreLocation, key: Key) -> tuple[int, str] | None:
    """The runs that training noted in ``data/grades``: a tracking server would have to be asked for others."""
    import polars as pl

    table = read_table(config.paths.grades)
    if table is None or "mlflow_run_id" not in table.columns:
        return None
    own = table.filter((pl.col("asset_class") == key[0]) & (pl.col("symbol") == key[1]))
    runs: list[Any] = own["mlflow_run_id"].drop_nulls().to_list()
    number = experiment_id(location, f"{config.tracking.experiment}/{config.dataset}") if runs else None
    return (len(runs), compare_address(number, runs, server_address(location))) if number else None
