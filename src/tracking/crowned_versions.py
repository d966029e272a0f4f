"""The champions of a dataset with what vouches for each, read without MLflow where a database can be asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from src.core.errors import StageError
from src.tracking import registry_gate, registry_sql, verdict
from src.tracking.location import store_location
from src.tracking.records import Records
from src.tracking.registry_gate import CHAMPION, DELETED, CandidateModel, GateRefusal, Query
from src.tracking.verdict import FolderCheck, Use

if TYPE_CHECKING:
    from src.tracking.evidence import StoredEvidence
    from src.tracking.settings import TrackedDataset

_GONE = "the version is gone"
_CROWNED = "FROM registered_model_aliases a JOIN model_versions v ON v.name = a.name AND v.version = a.version"
_MODEL = "JOIN logged_models lm ON lm.artifact_location = v.storage_location"
_TAGS = ("alpha.record_id", "alpha.strategy_key", "alpha.superseded", "alpha.cleared", "arm")
Table = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class CrownedVersion:
    """The champion of an instrument, or of a portfolio.

    Attributes
    ----------
    name : str
        Of the registered model.
    version : int
    run_id : str
        Of MLflow's run.
    record_id : str
        Of training's record.
    strategy_key : str
        Of the strategy, or the portfolio, that it was graded by.
    model_sha256 : str or None
        Of the native model, as training recorded it.
    grade : mapping
        Row of the grades, as training stored it, with ``q_value``.
    objections : tuple of str
        What stands against using it; empty for a champion that holds.
    """

    name: str
    version: int
    run_id: str
    record_id: str
    strategy_key: str
    model_sha256: str | None = None
    grade: Mapping[str, Any] = field(default_factory=dict)
    objections: tuple[str, ...] = ()


def crowned_versions(tracked: TrackedDataset) -> list[CrownedVersion]:
    """List the champions of a dataset, by name.

    Parameters
    ----------
    tracked : TrackedDataset

    Returns
    -------
    list of CrownedVersion

    Raises
    ------
    StageError
        If the store can't be read.
    """
    if not tracked.tracking.enabled:
        return []
    location = store_location(tracked.tracking)
    if location.is_server:
        return _through_client(tracked)
    try:
        with registry_sql.registry_query(location) as query:
            if query is None or not registry_sql.has_tables(query, location):
                return []
            found = in_database(query, tracked, registry_sql.dialect(location))
    except (GateRefusal, OSError) as error:
        raise StageError(f"the champions of {tracked.dataset} can't be read: {error}") from error
    return _with_grades(found, _evidence(tracked)) if found else []


def in_database(
    query: Query,
    tracked: TrackedDataset,
    dialect: str,
    files: Callable[[CandidateModel], FolderCheck] | None = None,
) -> list[CrownedVersion]:
    """List the champions of a dataset without their grades, by a few statements whatever their number.

    Parameters
    ----------
    query : callable
        Runs SQL on the database.
    tracked : TrackedDataset
    dialect : str
        ``sqlite`` or ``postgresql``.
    files : callable, optional
        Looks at the files of a model in MLflow; by default only the native model that training stored is looked at.

    Returns
    -------
    list of CrownedVersion
        By name. A champion whose version is gone counts where other versions of its name are of the dataset.

    Raises
    ------
    GateRefusal
        If the database's own thresholds are broken.
    """
    thresholds = registry_gate.stored_thresholds(query, dialect) or tracked.thresholds
    records, read = Records.of(tracked.paths), _CrownedTables(query)
    found = []
    for name, number, stage, location, *row in read.champions(tracked.experiment):
        tags = read.tags.get(row[1], {})
        try:
            if stage in (None, DELETED):
                raise GateRefusal(_GONE)
            if row[0] is None:
                raise GateRefusal(f"the files at {location} do not belong to a model that training logged")
            params = read.params.get(row[1], {})
            candidate = registry_gate.logged_candidate(row[0], row[1:], params, [tags.get("arm")])
            looked = files(candidate) if files else FolderCheck()
            standing = verdict.standing_of(candidate, name, tags, read.metrics.get(row[1], {}), looked)
            against = tuple(map(str, verdict.objections(standing, thresholds, records, Use.KEEP)))
            sha256 = params.get("model_sha256")
        except GateRefusal as refusal:
            against, sha256 = (str(refusal),), None
        record_id, strategy_key = tags.get("alpha.record_id", ""), tags.get("alpha.strategy_key", "")
        found.append(CrownedVersion(name, number, row[1] or "", record_id, strategy_key, sha256, objections=against))
    return found


class _CrownedTables:
    """What the tables say of the runs behind all champions of a database."""

    def __init__(self, query: Query) -> None:
        self._query = query
        runs = f"run_uuid IN (SELECT lm.source_run_id {_CROWNED} {_MODEL} WHERE a.alias = ?)"
        self.params = self._by_run(f"SELECT run_uuid, key, value FROM params WHERE {runs}", (CHAMPION,))
        marks = ", ".join("?" * len(_TAGS))
        self.tags = self._by_run(
            f"SELECT run_uuid, key, value FROM tags WHERE {runs} AND key IN ({marks})", (CHAMPION, *_TAGS)
        )
        self.metrics = registry_gate.gate_metrics_by_run(query, runs, (CHAMPION,))

    def champions(self, experiment: str) -> list[tuple[Any, ...]]:
        """Name, version, its stage and location, then what `registry_gate.logged_candidate` takes, model id first."""
        rows = self._query(
            "SELECT e.name, a.name, a.version, v.current_stage, v.storage_location, lm.model_id, lm.source_run_id, "
            "lm.artifact_location, lm.status, lm.lifecycle_stage, r.status, r.lifecycle_stage "
            f"{_CROWNED.replace('JOIN', 'LEFT JOIN')} LEFT {_MODEL} LEFT JOIN runs r ON r.run_uuid = lm.source_run_id "
            "LEFT JOIN runs o ON o.run_uuid = v.run_id LEFT JOIN experiments e ON e.experiment_id = o.experiment_id "
            "WHERE a.alias = ? ORDER BY a.name",
            (CHAMPION,),
        )
        homeless = {row[1] for row in rows if row[0] is None}
        homes = self._homes() if homeless else {}
        own = (row for row in rows if row[0] == experiment or (row[0] is None and experiment in homes[row[1]]))
        return [(row[1], int(row[2]), *row[3:]) for row in own]

    def _homes(self) -> Mapping[str, set[str]]:
        """Experiments of the versions of each name."""
        found: dict[str, set[str]] = defaultdict(set)
        for name, experiment in self._query(
            "SELECT DISTINCT v.name, e.name FROM model_versions v JOIN runs r ON r.run_uuid = v.run_id "
            "JOIN experiments e ON e.experiment_id = r.experiment_id",
            (),
        ):
            found[name].add(experiment)
        return found

    def _by_run(self, sql: str, values: tuple[Any, ...]) -> Table:
        found: Table = defaultdict(dict)
        for run, key, value in self._query(sql, values):
            found[run][key] = value
        return found


def _through_client(tracked: TrackedDataset) -> list[CrownedVersion]:
    """Ask a tracking server, through MLflow's client."""
    from src.tracking.champions import Champions
    from src.tracking.store import open_store

    with open_store(tracked) as store:
        champions, found = Champions(store), []
        for name, number in sorted(champions.current.items()):
            version = champions.champion(name)
            if version is None:
                found.append(CrownedVersion(name, number, "", "", "", objections=(_GONE,)))
                continue
            against = tuple(map(str, champions.vetting.objections(version, Use.KEEP)))
            sha256 = version.params.get("model_sha256")
            found.append(CrownedVersion(name, number, version.run_id, *version.key, sha256, objections=against))
        return _with_grades(found, champions.vetting.evidence)


def _evidence(tracked: TrackedDataset) -> StoredEvidence:
    from src.tracking.evidence import StoredEvidence
    from src.training.run_store import RunStore

    return StoredEvidence(RunStore(tracked.paths.runs), RunStore(tracked.paths.portfolios))


def _with_grades(found: list[CrownedVersion], evidence: StoredEvidence) -> list[CrownedVersion]:
    graded = []
    for each in found:
        row = evidence.row(each.record_id, each.strategy_key)
        graded.append(replace(each, grade=row, model_sha256=row.get("model_sha256") or each.model_sha256))
    return graded
