"""What `sync` does beyond adding what MLflow lacks: vet passes, restore runs, mend models, clear away orphans.

Every step can be interrupted anywhere and repeated. A run is restored rather than written again, because its model and
version come back with it. A model's folder is written again in place where that gives the digest that its run recorded;
elsewhere the run is replaced by a new one, because a run's params can't be changed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from src.core.errors import StageError
from src.core.instruments import Key
from src.tracking import client_runs
from src.tracking.duplicates import DOUBLED, SUPERSEDED
from src.tracking.location import local_folder
from src.tracking.model_package import ModelFolder
from src.tracking.registry_gate import ASSET_PREFIXES, CandidateModel
from src.tracking.run_record import RunContent
from src.tracking.scopes import GradeRepeater
from src.tracking.search import all_aliases, all_pages, all_versions, has_run, version_numbers
from src.tracking.sqlite_runs import RecordedRun
from src.tracking.verdict import changed_files
from src.training.regrading import GradeCheck, drop_grades
from src.training.run_store import RunStore

if TYPE_CHECKING:
    from src.tracking.store import MlflowStore

_DELETED_ONLY = 2  # ViewType.DELETED_ONLY


@dataclass
class Findings:
    """What one sync did and refused.

    Attributes
    ----------
    mended : list of str
        One line for each run, model, version or alias that was brought back or cleared away.
    unconfirmed : list of str
        One line for each pass that is not registered because its bars are gone or were restated.
    refused : list of str
        One line for each pass that is not as training left it.
    """

    mended: list[str] = field(default_factory=list)
    unconfirmed: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """All lines, the refusals last."""
        return [*self.mended, *self.unconfirmed, *self.refused]


class Repairs:
    """Looks after the runs of one dataset while they are projected.

    Parameters
    ----------
    store : RunStore
    regrader : GradeRepeater
    findings : Findings
        Filled.
    """

    def __init__(self, store: RunStore, regrader: GradeRepeater, findings: Findings) -> None:
        self._store = store
        self._regrader = regrader
        self._findings = findings

    # before runs are written --------------------------------------------------------------------------------------

    def vetted(
        self, graded: pl.DataFrame, wanted: Mapping[Key, RunContent], has_version: Callable[[Key], bool]
    ) -> tuple[dict[Key, RunContent], set[Key]]:
        """Repeat the grades of passes that are not registered yet.

        Parameters
        ----------
        graded : DataFrame
            The stored rows.
        wanted : mapping
            Runs by record and strategy.
        has_version : callable
            Whether the run of a key is registered.

        Returns
        -------
        wanted : dict
            Without the runs whose stored grade is not what their predictions give.
        unconfirmed : set
            Keys of runs that are shown and not registered.
        """
        keys = [key for key, content in wanted.items() if content.passed and not has_version(key)]
        rows = graded.join(_keys(keys), on=["record_id", "strategy_key"], how="semi") if keys else graded.clear()
        checks = {(check.record_id, check.strategy_key): check for check in self._regrader.check(rows)}
        bad = {key: check for key, check in checks.items() if check.objection}
        for key, check in bad.items():
            self._note(wanted[key], check)
        drop_grades(self._store, [key for key, check in bad.items() if check.differing and check.is_current])
        kept = {key: content for key, content in wanted.items() if key not in bad or not bad[key].differing}
        return kept, {key for key in bad if key in kept}

    def _note(self, content: RunContent, check: GradeCheck) -> None:
        line = f"{content.name}: not registered: {check.objection}"
        (self._findings.refused if check.differing else self._findings.unconfirmed).append(line)

    def refuse(self, content: RunContent, reason: str) -> None:
        """Note that a pass is not registered.

        Parameters
        ----------
        content : RunContent
        reason : str
        """
        self._findings.refused.append(f"{content.name}: not registered: {reason}")

    def restore(self, target: MlflowStore, missing: Iterable[Key]) -> bool:
        """Restore deleted runs of records that have no other run; returns whether there were any.

        Parameters
        ----------
        target : MlflowStore
        missing : iterable of (record_id, strategy_key)
        """
        wanted = set(missing)
        if not wanted:
            return False
        query = "attributes.status = 'FINISHED' AND tags.`alpha.record_id` LIKE '%'"
        search, experiments = target.client.search_runs, [target.experiment]
        deleted = all_pages(lambda token: search(experiments, query, _DELETED_ONLY, 1000, page_token=token))
        found: dict[Key, Any] = {}
        for run in deleted:
            tags = run.data.tags
            key = tags.get("alpha.record_id", ""), tags.get("alpha.strategy_key", "")
            better = key not in found or "model_id" in run.data.params
            if key in wanted and tags.get(SUPERSEDED) != DOUBLED and better:
                found[key] = run
        for run in found.values():
            target.client.restore_run(run.info.run_id)
            self._findings.mended.append(f"{run.info.run_name}: run {run.info.run_id} was deleted, and is restored")
        if found:
            client_runs.forget()
        return bool(found)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing was refused, and no pass was left out, so that another sync would say no more."""
        return not self._findings.refused and not self._findings.unconfirmed

    def confirms(self, graded: pl.DataFrame) -> bool:
        """Whether the stored grades of runs are what their predictions give.

        Parameters
        ----------
        graded : DataFrame
            The stored rows.
        """
        return not any(check.objection for check in self._regrader.check(graded)) if graded.height else True

    # models -------------------------------------------------------------------------------------------------------

    def mend(
        self, target: MlflowStore, models: Mapping[str, Any], folder: ModelFolder, content: RunContent, run: RecordedRun
    ) -> bool:
        """Mend the model of a run where its files or its entry in MLflow are gone or changed.

        Parameters
        ----------
        target : MlflowStore
        models : mapping
            The logged models that MLflow has, by id.
        folder : ModelFolder
            What the model's folder has to hold.
        content : RunContent
        run : RecordedRun

        Returns
        -------
        bool
            Whether the run has to be replaced, because its model can't be brought back under its own id.
        """
        model = models.get(run.model_id or "")
        if model is None:
            return True
        params = target.client.get_run(run.run_id).data.params
        candidate = CandidateModel(model.model_id, run.run_id, model.artifact_location, dict(params))
        local = local_folder(model.artifact_location)
        problem = changed_files(candidate).broken if local is not None else _refused_files(target, run.run_id)
        if problem is None:
            return False
        with tempfile.TemporaryDirectory() as staged:
            written = folder.write(Path(staged) / "model", model.model_id, run.run_id)
            if written["model_digest"] != params.get("model_digest"):
                return True
            if local is None:
                target.client.log_model_artifacts(model.model_id, str(Path(staged) / "model"))
                if _refused_files(target, run.run_id) is not None:  # an added file can't be removed there
                    return True
            else:
                shutil.rmtree(local, ignore_errors=True)
                shutil.copytree(Path(staged) / "model", local)
        self._findings.mended.append(
            f"{content.name}: the files of model {model.model_id} are written again ({problem})"
        )
        return False

    def discard(self, target: MlflowStore, content: RunContent, run: RecordedRun) -> dict[str, str]:
        """Remove a run whose model can't be brought back, with its versions; it is written again as a new run.

        Parameters
        ----------
        target : MlflowStore
        content : RunContent
        run : RecordedRun

        Returns
        -------
        dict
            Aliases that pointed to its version, with the name of the registered model.
        """
        client, name = target.client, content.params["registered_name"]
        numbers = [
            number for of, number in version_numbers(client, [run.run_id]).get(run.run_id, {}).items() if of == name
        ]
        held = dict(client.get_registered_model(name).aliases) if numbers else {}
        aliases = {alias: name for alias, number in held.items() if str(number) in numbers}
        for alias in aliases:
            client.delete_registered_model_alias(name, alias)
        for number in numbers:
            client.delete_model_version(name, number)
        client.set_tag(run.run_id, SUPERSEDED, DOUBLED)
        client.delete_run(run.run_id)
        client_runs.forget()
        self._findings.mended.append(f"{content.name}: the model of run {run.run_id} is gone; a new run replaces it")
        return aliases

    def restore_aliases(self, target: MlflowStore, aliases: Mapping[str, str], number: str) -> None:
        """Point the aliases of a replaced version to the new one; the registry checks it.

        Parameters
        ----------
        target : MlflowStore
        aliases : mapping
            From `discard`.
        number : str
            The new version.
        """
        for alias, name in aliases.items():
            try:
                with target.refusals():
                    target.client.set_registered_model_alias(name, alias, number)
            except StageError as error:
                self._findings.refused.append(str(error))

    def registered_again(self, content: RunContent, number: str) -> None:
        """Note that a version was gone.

        Parameters
        ----------
        content : RunContent
        number : str
            The new version.
        """
        self._findings.mended.append(f"{content.name}: its version was gone; version {number} is registered")

    # orphans ------------------------------------------------------------------------------------------------------

    def clear_orphans(self, target: MlflowStore, names: set[str]) -> None:
        """Remove aliases whose version is gone, and versions whose run is gone.

        Parameters
        ----------
        target : MlflowStore
        names : set of str
            Registered models of the dataset.
        """
        client = target.client
        versions = all_versions(client)
        own = [each for each in versions if each.name in names and each.name.lower().startswith(ASSET_PREFIXES)]
        known = target.runs_by_id((str(each.run_id) for each in own if each.run_id), with_deleted=True)
        existing = {(each.name, str(each.version)) for each in versions}
        for each in own:
            if str(each.run_id) not in known and not has_run(client, str(each.run_id)):
                client.delete_model_version(each.name, str(each.version))
                existing.discard((each.name, str(each.version)))
                self._findings.mended.append(f"{each.name}: version {each.version} is removed: its run is gone")
        for name, aliases in all_aliases(client).items():
            for alias, number in aliases.items() if name in names else ():
                if (name, str(number)) not in existing:
                    client.delete_registered_model_alias(name, alias)
                    self._findings.mended.append(f"{name}: alias {alias} is removed: version {number} is gone")


def _refused_files(target: MlflowStore, run_id: str) -> str | None:
    """The registry's refusal to hand out the files of a run's version; None where it hands them out."""
    for name, number in version_numbers(target.client, [run_id]).get(run_id, {}).items():
        try:
            with target.refusals():
                target.client.get_model_version_download_uri(name, number)
        except StageError as error:
            return str(error)
    return None


def _keys(keys: list[Key]) -> pl.DataFrame:
    return pl.DataFrame(keys, schema={"record_id": pl.String, "strategy_key": pl.String}, orient="row")
