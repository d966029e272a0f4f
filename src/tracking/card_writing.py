"""Write the cards of registered versions where the registry lacks them, or has those of other figures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from src.core.instruments import Key
from src.tracking import sqlite_runs
from src.tracking.model_cards import Card, champion_reason, champion_section, model_card, version_card, with_champion
from src.tracking.search import all_pages, versions_by_run

if TYPE_CHECKING:
    from src.tracking.run_record import RunContent
    from src.tracking.sqlite_runs import RecordedRun

SESSION_FIGURES = ("runs", "passed", "expected_lucky_passes")
"""Figures of a session that the cards of its versions show."""


class CardWriter:
    """Describes the versions of one session's passes.

    Parameters
    ----------
    target : MlflowStore
    session : mapping
        ``key`` and what is known of it; figures that are missing are those that its run in MLflow has.
    is_sync : bool
        Whether registered models of earlier releases are looked at too.
    """

    def __init__(self, target: Any, session: Mapping[str, Any], *, is_sync: bool) -> None:
        self._target = target
        self._given = session
        self._is_sync = is_sync
        self._session: dict[str, Any] | None = None

    def of(self, content: RunContent, run_id: str) -> tuple[Card, Card]:
        """Make the card of a run's version, and that of its registered model.

        Parameters
        ----------
        content : RunContent
        run_id : str
            Of MLflow's run.
        """
        if self._session is None:
            self._session = self._session_facts()
        return version_card(content, run_id, self._target.thresholds, self._session), model_card(content)

    def write(self, contents: Iterable[RunContent], recorded: Mapping[Key, RecordedRun]) -> None:
        """Bring description and tags of registered versions up to date; what a person added stays.

        Parameters
        ----------
        contents : iterable of RunContent
            Runs that passed.
        recorded : mapping
            The runs that MLflow has.
        """
        by_run = {recorded[content.key].run_id: content for content in contents if content.key in recorded}
        changed: dict[tuple[str, str], tuple[str, Mapping[str, str]]] = {}
        for run_id, versions in versions_by_run(self._target.client, by_run).items():
            for version in versions:
                if version.name == by_run[run_id].params["registered_name"]:
                    card = self.of(by_run[run_id], run_id)[0]
                    text = with_champion(card.description, _section(version))
                    tags = {key: value for key, value in card.tags.items() if version.tags.get(key) != value}
                    if tags or text != version.description:
                        changed[version.name, str(version.version)] = (text, tags)
        self._put(changed)
        if self._is_sync and by_run:
            self._describe_models(by_run.values())

    def _put(self, changed: Mapping[tuple[str, str], tuple[str, Mapping[str, str]]]) -> None:
        database = self._target.location.database
        if not changed:
            return
        if database is not None and isinstance(self._target.runs, sqlite_runs.BulkRuns):
            sqlite_runs.describe_versions(database, changed)
            return
        client = self._target.client
        for (name, number), (text, tags) in changed.items():
            client.update_model_version(name, number, text)
            for key, value in tags.items():
                client.set_model_version_tag(name, number, key, value)

    def _describe_models(self, contents: Iterable[RunContent]) -> None:
        """Describe registered models that an earlier release left without a description."""
        client = self._target.client
        search = client.search_registered_models
        models = {each.name: each for each in all_pages(lambda token: search(max_results=1000, page_token=token))}
        for content in {content.params["registered_name"]: content for content in contents}.values():
            name, card = content.params["registered_name"], model_card(content)
            if name in models and not models[name].description:
                client.update_registered_model(name, card.description)
                for key, value in card.tags.items():
                    client.set_registered_model_tag(name, key, value)

    def _session_facts(self) -> dict[str, Any]:
        run = self._target.client.get_run(self._target.session_run(self._given["key"]))
        stored = {key: run.data.metrics[key] for key in SESSION_FIGURES if key in run.data.metrics}
        given = {key: self._given[key] for key in ("name", *SESSION_FIGURES) if self._given.get(key) is not None}
        return {"name": run.info.run_name} | stored | given


def _section(version: Any) -> str | None:
    """What a card says of the champion: what is there, or what an earlier release left in tags."""
    section, tags = champion_section(version.description), version.tags
    if section is None and "alpha.promoted_by" in tags:
        why = tags.get("alpha.promoted_why", "")
        kind, given = ("promote", why) if why not in ("promote", "undo") else (why, "")
        return champion_reason(kind, tags.get("alpha.promoted_at", ""), tags["alpha.promoted_by"], given)
    return section
