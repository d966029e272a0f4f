"""Grades, the sessions that gave them, and the runs behind them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from src.core.errors import ConfigError, StageError
from src.inspection.reading.frames import Frame, Pandas, Polars, as_frame
from src.inspection.reading.places import Folder, Place, place

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from src.training.run_store import RunStore

Scope = Literal["instrument", "pooled"]
SCOPES = ("instrument", "pooled")
LEFT_OUT = ("stamp", "net", "equity", "always_long", "shift_passes", "shift_z")
"""Columns of the stored grades that are curves and bits: `equity` and `returns` give the curves."""
_COUNTED = ("record_id", "asset_class", "symbol", "graded_by", "passed", "registrable", "first_oos", "last_oos")


@overload
def grades(
    universe: str | None = None, *, scope: Scope = "instrument", session: str | None = None,
    frame: Polars = "polars", root: Folder = None,
) -> pl.DataFrame: ...  # fmt: skip
@overload
def grades(
    universe: str | None = None, *, scope: Scope = "instrument", session: str | None = None,
    frame: Pandas, root: Folder = None,
) -> pd.DataFrame: ...  # fmt: skip
def grades(
    universe: str | None = None,
    *,
    scope: Scope = "instrument",
    session: str | None = None,
    frame: Frame = "polars",
    root: Folder = None,
) -> pl.DataFrame | pd.DataFrame:
    """Read the grade and the evidence of each run: what the report and MLflow show.

    Parameters
    ----------
    universe : str, optional
        Name of the dataset, such as ``quick`` or ``quick-1h``; by default that of ``params.yaml``.
    scope : {'instrument', 'pooled'}
        Runs of single instruments, or portfolios of pooled models.
    session : str, optional
        Key of the session, or how it begins, as `sessions` gives it; by default the last one.
    frame : {'polars', 'pandas'}
    root : str or Path, optional
        Folder of the project; by default the one at or above the working directory.

    Returns
    -------
    DataFrame
        One row a run: asset_class, symbol, family, the four graded figures (auc, accuracy, sharpe, max_drawdown),
        passed, registrable, reasons, the baselines, the evidence (z, p_value, q_value, luck_rate, deflated_sharpe), and
        the keys that lead to everything else (record_id, mlflow_run_id). An undefined figure is null.

    Raises
    ------
    ConfigError
        For an unknown universe, scope or session.
    StageError
        If nothing is graded yet, or a file can't be read.

    Examples
    --------
    >>> results.grades("demo").drop_nulls("z").sort("z").tail(5)  # doctest: +SKIP
    """
    return as_frame(grades_of(place(universe, root), scope, session), frame)


def verdict(universe: str | None = None, *, session: str | None = None, root: Folder = None) -> str:
    """Say how many runs of single instruments passed, and how many would if no model had any skill.

    Parameters
    ----------
    universe, session, root
        As `grades` takes them.

    Returns
    -------
    str
        The sentence with which the report opens.

    Examples
    --------
    >>> print(results.verdict("demo"))  # doctest: +SKIP
    """
    import polars as pl

    from src.evaluation.multiple_testing import session_evidence

    at = place(universe, root)
    table = grades_of(at, "instrument", session, hidden=False)
    return session_evidence(table.with_columns(pl.col("passed", "registrable").fill_null(False))).sentence()


@overload
def sessions(
    universe: str | None = None, *, frame: Polars = "polars", root: Folder = None
) -> pl.DataFrame: ...  # fmt: skip
@overload
def sessions(universe: str | None = None, *, frame: Pandas, root: Folder = None) -> pd.DataFrame: ...
def sessions(
    universe: str | None = None, *, frame: Frame = "polars", root: Folder = None
) -> pl.DataFrame | pd.DataFrame:
    """List the training sessions whose grades are stored, the earliest first.

    Parameters
    ----------
    universe, frame, root
        As `grades` takes them.

    Returns
    -------
    DataFrame
        session (key), scope, name, runs, instruments, passed, registrable, first_oos, last_oos, git_commit, and
        current: whether `grades` shows it unless another is asked for.

    Examples
    --------
    >>> results.sessions("demo").select("session", "name", "runs", "passed")  # doctest: +SKIP
    """
    at = place(universe, root)
    return as_frame(sessions_of(at), frame)


@overload
def runs(
    universe: str | None = None, *, scope: Scope = "instrument", frame: Polars = "polars", root: Folder = None
) -> pl.DataFrame: ...
@overload
def runs(
    universe: str | None = None, *, scope: Scope = "instrument", frame: Pandas, root: Folder = None
) -> pd.DataFrame: ...
def runs(
    universe: str | None = None, *, scope: Scope = "instrument", frame: Frame = "polars", root: Folder = None
) -> pl.DataFrame | pd.DataFrame:
    """Read what training recorded of every run that was ever trained: settings, keys, times; without predictions.

    Parameters
    ----------
    universe, scope, frame, root
        As `grades` takes them.

    Returns
    -------
    DataFrame
        One row a run: record_id, run_key, asset_class, symbol, family, params, features, parts (all JSON),
        library_version, git_commit, n_train, n_folds, fit_seconds, created_at, and superseded: whether a later attempt
        takes its place.

    Examples
    --------
    >>> results.runs("demo").group_by("family").agg(pl.col("fit_seconds").sum())  # doctest: +SKIP
    """
    at = place(universe, root)
    _require_scope(scope)
    return as_frame(at.runs(scope).runs(), frame)


def grades_of(
    at: Place, scope: str, session: str | None, columns: Sequence[str] | None = None, *, hidden: bool = True
) -> pl.DataFrame:
    """Read grades of a dataset.

    Parameters
    ----------
    at : Place
    scope : {'instrument', 'pooled'}
    session : str or None
    columns : sequence of str, optional
        Those that are read; all by default.
    hidden : bool
        Whether `LEFT_OUT` are among those that are left out by default.
    """
    import polars as pl

    from src.storage.atomic import read_errors

    _require_scope(scope)
    path = at.paths.portfolio_grades if scope == "pooled" else at.paths.grades
    if session is not None:
        return _of_session(at, scope, session, path).select(_wanted(columns, hidden=hidden))
    if not path.is_file():
        raise StageError(f"no grades of scope={scope} in universe={at.dataset}: run `{_training(at, scope)}`")
    with read_errors(path, f"run `{_training(at, scope)}`, which writes it again"):
        return pl.scan_parquet(path, glob=False).select(_wanted(columns, hidden=hidden)).collect()


def sessions_of(at: Place) -> pl.DataFrame:
    """Describe the sessions of both scopes; see `sessions`.

    Parameters
    ----------
    at : Place
    """
    import polars as pl

    parts = [part for scope in SCOPES for part in _described(at, scope)]
    schema = {
        **dict.fromkeys(("session", "scope", "name"), pl.String()),
        **dict.fromkeys(("runs", "instruments", "passed", "registrable"), pl.Int64()),
        **dict.fromkeys(("first_oos", "last_oos"), pl.Date()),
        "git_commit": pl.String(),
        "current": pl.Boolean(),
    }
    return pl.DataFrame(parts, schema=schema, orient="row")


def _described(at: Place, scope: str) -> list[dict[str, object]]:
    import polars as pl

    from src.tracking.projection import stored_sessions

    store, found = at.runs(scope), []
    path = at.paths.portfolio_grades if scope == "pooled" else at.paths.grades
    current = set(pl.read_parquet(path, columns=["graded_by"], glob=False)["graded_by"]) if path.is_file() else set()
    for session in stored_sessions(store):
        key = str(session["key"])
        graded = _shards(store, key).select(pl.col("^(" + "|".join(_COUNTED) + ")$")).collect()
        found.append({
            "session": key, "scope": scope, "name": session.get("name"), "git_commit": session.get("git_commit"),
            "runs": graded.height, "instruments": graded.select("asset_class", "symbol").n_unique(),
            "passed": int(graded["passed"].sum()), "registrable": int(graded["registrable"].sum()),
            "first_oos": graded["first_oos"].min(), "last_oos": graded["last_oos"].max(), "current": key in current,
        })  # fmt: skip
    return found


def _of_session(at: Place, scope: str, session: str, path: Path) -> pl.DataFrame:
    """Grades that a session gave, with the columns of the grades table; q-values are those of the session."""
    import polars as pl

    from src.evaluation.multiple_testing import with_q_values

    store = at.runs(scope)
    given = _shards(store, _key(at, scope, store, session)).collect()
    given = with_q_values(given.with_columns(pl.col("n_trials").fill_null(1)))
    schema = pl.scan_parquet(path, glob=False).collect_schema() if path.is_file() else given.schema
    return pl.concat([given, pl.DataFrame(schema=schema)], how="diagonal_relaxed").select(list(schema))


def _wanted(columns: Sequence[str] | None, *, hidden: bool) -> Any:
    """The columns that are named, else all of a table, but for those that are hidden."""
    import polars as pl

    if columns is not None:
        return list(columns)
    return pl.exclude(LEFT_OUT) if hidden else pl.all()


def _key(at: Place, scope: str, store: RunStore, session: str) -> str:
    known = store.graded_sessions()
    found = sorted(each for each in known if each.startswith(session[:8]))
    if len(found) != 1 or not session:
        there = ", ".join(sorted(known)) or "none"
        what = f"means {len(found)} sessions" if found and session else "is no session"
        raise ConfigError(f"session {session!r} {what} of scope={scope} in universe={at.dataset}: there are {there}")
    return found[0]


def _shards(store: RunStore, session: str) -> pl.LazyFrame:
    """Scan the grades of a session."""
    import polars as pl

    files = sorted(store.root.glob(f"b*-{session[:8]}.grades.parquet"))
    return pl.scan_parquet(files, glob=False, missing_columns="insert", extra_columns="ignore")


def _training(at: Place, scope: str) -> str:
    return at.command("train", *(["experiment=pooled"] if scope == "pooled" else []))


def _require_scope(scope: str) -> None:
    if scope not in SCOPES:
        raise ConfigError(f"scope must be instrument or pooled, got {scope!r}")
