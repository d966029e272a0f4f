"""What a person may decide in the registry: set champions, withdraw one, undo that, clear a suspicious run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from src.config.commands import command
from src.config.schema import PromotionConfig
from src.core.errors import ConfigError, Incomplete
from src.evaluation.multiple_testing import expected_lucky_instruments
from src.storage import atomic
from src.tracking.candidates import candidates, near_misses
from src.tracking.champions import Champions
from src.tracking.demands import EvidenceDemands, is_portfolio
from src.tracking.promotion_carrying import carry_out_changes
from src.tracking.promotion_history import Change, PromotionHistory
from src.tracking.promotion_plan import Decision, PromotionPlan, withdrawal
from src.tracking.settings import TrackedDataset
from src.tracking.store import open_store
from src.tracking.suspicion_clearing import clear_suspicion
from src.tracking.undoing import undo
from src.tracking.withheld import withheld

if TYPE_CHECKING:
    from src.tracking.store import MlflowStore

_REQUEST_KEYS = ("name", "version", "withdraw", "clear", "why", "undo", "history")
_DEMAND = re.compile(r"(min|max)_[a-z0-9_]+")
_STAYING = 10  # champions that stay are named up to this number


def is_request_key(key: str) -> bool:
    """Whether an argument belongs to a promotion request, not to the configuration.

    Parameters
    ----------
    key : str
        ``name``, ``version``, ``withdraw``, ``clear``, ``why``, ``undo``, ``history``, or a demand such as
        ``max_q_value``.
    """
    return key in _REQUEST_KEYS or _DEMAND.fullmatch(key) is not None


def carry_out(
    settings: TrackedDataset,
    request: Mapping[str, str],
    show: Callable[[str], None],
    promotion: PromotionConfig | None = None,
    *,
    dry_run: bool = False,
) -> str:
    """Carry out a promotion request; the caller holds the lock of ``promote``.

    Parameters
    ----------
    settings : TrackedDataset
    request : mapping
        Arguments by key, see `is_request_key`; empty to promote the best version of every instrument and portfolio.
    show : callable
        Takes one line for each step.
    promotion : PromotionConfig, optional
        Evidence that is demanded beside what the request demands. Default: none.
    dry_run : bool
        Whether all is decided and shown, and nothing is changed.

    Returns
    -------
    str
        The closing line.

    Raises
    ------
    ConfigError
        If the request makes no sense.
    StageError
        If the registry refuses, or something named in the request does not exist.
    """
    typed = _checked_demands(request)
    history, why = PromotionHistory(settings.paths.promotions), request.get("why", "").strip()
    if "history" in request:
        return _history(history, show)
    demands = EvidenceDemands.of(promotion or PromotionConfig(), typed)
    with open_store(replace(settings, is_dry_run=dry_run)) as store:
        if "clear" in request:
            return clear_suspicion(store, request["clear"], why, dry_run=dry_run)
        if "undo" in request:
            return undo(store, history, why, show, dry_run=dry_run)
        taken = [withdrawal(store, request["withdraw"])] if "withdraw" in request else []
        champions = Champions(store, demands)
        for change in taken:
            champions.current.pop(change.name, None)
        plan = PromotionPlan(champions, demoted=history.demoted())
        return _Promotion(settings, store, history, plan, taken, request, show, dry_run=dry_run).run(why)


@dataclass
class _Promotion:
    """One promotion or withdrawal: what is decided is shown, announced, carried out and counted."""

    settings: TrackedDataset
    store: MlflowStore
    history: PromotionHistory
    plan: PromotionPlan
    withdrawn: list[Change]
    request: Mapping[str, str]
    show: Callable[[str], None]
    dry_run: bool = field(kw_only=True)

    def run(self, why: str) -> str:
        """Do it all, and return the closing line."""
        decisions = self.plan.decisions(self.request)
        changes = [*self.withdrawn, *(each.change for each in decisions if each.change is not None)]
        refusals: dict[str, str] = {}
        if not self.dry_run:
            kind = "promote" if decisions or not self.withdrawn else "withdraw"
            demands = self.plan.champions.demands.by_scope()
            refusals = carry_out_changes(self.store, self.history, kind, changes, why=why, demands=demands)
        self.plan.damaged |= {(each.name, each.after or 0) for each in changes if each.name in refusals}
        for line in (*self._warnings(decisions), *self._steps(decisions, refusals)):
            self.show(line)
        self._apply(changes, refusals)
        return self._closing(len(changes) - len(refusals))

    def _apply(self, changes: list[Change], refusals: Mapping[str, str]) -> None:
        """Take the champions as they are after the changes."""
        for change in changes:
            if change.name not in refusals and change.after is not None:
                self.plan.champions.current[change.name] = change.after

    def _steps(self, decisions: list[Decision], refusals: Mapping[str, str]) -> Iterator[str]:
        """Yield a line for each model that changes, is refused or was asked for; of those that stay the first ones."""
        for change in self.withdrawn:
            is_no_longer = "would no longer be" if self.dry_run else "is no longer"
            yield f"{change.name}: version {change.before} {is_no_longer} champion"
        staying = 0
        for each in decisions:
            is_staying = each.change is None and each.version is not None and not each.refusals
            staying += is_staying
            is_silent = each.version is None and not each.refusals and "name" not in self.request
            if not is_silent and (not is_staying or staying <= _STAYING):
                yield each.line(would=self.dry_run, refusal=refusals.get(each.name))
        if staying > _STAYING:
            yield f"and {staying - _STAYING:,} more stay champion"

    def _warnings(self, decisions: list[Decision]) -> Iterator[str]:
        """Yield the warning that is due where no evidence is demanded."""
        demands, paths = self.plan.champions.demands, self.settings.paths
        chosen = [each.name for each in decisions if each.version is not None]
        scopes = {
            "instruments": (demands.instruments, paths.grades, [name for name in chosen if not is_portfolio(name)]),
            "portfolios": (demands.portfolios, paths.portfolio_grades, [name for name in chosen if is_portfolio(name)]),
        }
        for scope, (demanded, path, names) in scopes.items():
            if names and not demanded:
                lucky = _expected_lucky(path, self.settings)
                about = "" if lucky is None else f", and without any skill about {lucky:,.1f} {scope} would clear them"
                yield f"WARNING: {scope} are promoted by the four thresholds alone: {len(names):,} clear{about}"

    def _closing(self, changed: int) -> str:
        champions = self.plan.champions
        failing = dict(self.plan.no_longer_clear())
        unmet = list(champions.no_longer_meet(failing))
        for line in (*failing.values(), *unmet):
            self.show(line)
        counts = _not_registered(self.settings)
        if champions.names:
            counts = (
                f"{self.plan.named_counts()}, {len(champions.current):,} champions, {changed:,} changed, "
                f"{len(failing):,} no longer clear"
            )
            counts += f", {len(unmet):,} no longer meet the demands" if unmet else ""
        if not {"version", "withdraw"} & self.request.keys():
            others = withheld(self.store, self.request.get("name"))
            for line in (*self._near_misses(), *others.lines()):
                self.show(line)
            counts += others.clause(self.store.thresholds.min_oos)
        if self.dry_run:
            counts = f"dry run, nothing is changed: {counts}"
        if self.plan.damaged:
            raise Incomplete(f"promote: {counts}, {len(self.plan.damaged):,} refused")
        return counts

    def _near_misses(self) -> Iterator[str]:
        """Yield lines on what was not promoted; the whole table is written where all models were looked at."""
        champions, name = self.plan.champions, self.request.get("name")
        table = candidates(champions, self.store.thresholds, champions.current, self.settings.interval)
        path = self.settings.paths.states("promote")
        if self.dry_run or name is not None:
            yield from near_misses(table if name is None else table.filter(pl.col("name") == name), None)
            return
        atomic.write_parquet(table, path)
        yield from near_misses(table, path.as_posix())


def _history(history: PromotionHistory, show: Callable[[str], None]) -> str:
    entries = history.entries()
    for entry in entries:
        for line in entry.lines():
            show(line)
    return f"{len(entries):,} entries in {history.path.as_posix()}"


def _expected_lucky(path: Path, settings: TrackedDataset) -> float | None:
    """Instruments or portfolios of the last session to be promoted by luck; None without its grades."""
    if not path.is_file():
        return None
    with atomic.read_errors(path, f"run `{command('train', stored=settings.dataset)}`, which writes it again"):
        grades = pl.read_parquet(path, glob=False)
    return expected_lucky_instruments(grades.filter(pl.col("n_oos") >= settings.grade.min_oos_promote))


def _not_registered(settings: TrackedDataset) -> str:
    train = command("train", stored=settings.dataset)
    return (
        f"no version of {settings.dataset} is registered: none passed, or it is not trained ({train}), or MLflow's "
        f"store is new ({settings.sync_command})"
    )


def _checked_demands(request: Mapping[str, str]) -> dict[str, float]:
    """The evidence demanded, as numbers.

    Raises
    ------
    ConfigError
        If the request makes no sense.
    """
    if "clear" in request and not request.get("why", "").strip():
        raise ConfigError(f'clear={request["clear"]} needs why="...": the reason is kept with your name and the time')
    if "version" in request and ("name" not in request or not request["version"].isdigit()):
        raise ConfigError(f"version must be a number beside name=<registered model>, got {request['version']}")
    for key in ("undo", "history"):
        if request.get(key, "true") != "true":
            raise ConfigError(f"{key} must be true, or left out, got {request[key]}")
        if key in request and (others := request.keys() - {key, "why"}):
            raise ConfigError(f"{key}=true stands alone: leave out {', '.join(sorted(others))}")
    demands = {}
    for key in request.keys() - set(_REQUEST_KEYS):
        try:
            demands[key] = float(request[key])
        except ValueError:
            raise ConfigError(f"{key} must be a number, got {request[key]}") from None
    return demands
