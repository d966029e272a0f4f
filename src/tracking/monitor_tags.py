"""What the monitor found, as a tag of each version in the registry."""

from __future__ import annotations

from collections.abc import Mapping

from src.core.errors import StageError
from src.tracking.settings import TrackedDataset
from src.tracking.store import open_store

MONITOR = "alpha.monitor"
"""Tag of a model version: what is raised against it, and since when."""
_LONGEST = 4000  # characters: MLflow refuses a tag of more than 5,000


def show_findings(tracked: TrackedDataset, findings: Mapping[tuple[str, int], str]) -> list[str]:
    """Write what was found into the registry, one request for each version.

    Parameters
    ----------
    tracked : TrackedDataset
    findings : mapping
        Text by name and version; an empty one removes the tag.

    Returns
    -------
    list of str
        Why a version could not be tagged, one line each; one that is gone is left out.
    """
    if not findings or not tracked.tracking.enabled:
        return []
    refused = []
    with open_store(tracked) as store:
        for (name, number), text in sorted(findings.items()):
            try:
                with store.refusals():
                    if text:
                        store.client.set_model_version_tag(name, str(number), MONITOR, text[:_LONGEST])
                    else:
                        store.client.delete_model_version_tag(name, str(number), MONITOR)
            except StageError as error:
                if text:
                    refused.append(f"{name} version {number} can't be tagged: {error}")
    return refused
