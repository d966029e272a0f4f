"""A check of the sources of research: what the user has to provide for them, and whether their hosts can be reached."""

from __future__ import annotations

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.core.errors import ConfigError
from src.inspection.connections import reached
from src.inspection.diagnostics import Finding


def research(settings: ResearchConfig, live: LiveSource) -> Finding:
    """Every chosen source of research has what it needs, and its hosts answer; one small request goes to each.

    Parameters
    ----------
    settings : ResearchConfig
    live : LiveSource
        Contact, proxy and certificates.
    """
    from src.research import registry

    chosen = registry.chosen(settings)
    if not chosen:
        return Finding("research", "ok", "no source is chosen: research=edgar,news chooses two")
    missing = {each.name: words for each in chosen if (words := each.missing(settings, live))}
    usable = [each for each in chosen if each.name not in missing]
    hosts = list(dict.fromkeys(host for each in usable if not each.offline for host in each.hosts(settings)))
    try:
        state, message = reached(hosts, live) if hosts else ("ok", "no host is asked")
    except ConfigError as error:
        state, message = "bad", str(error)
    lacks = "".join(f"\n      {name} can't be asked: {words}" for name, words in missing.items())
    names = ", ".join(each.name for each in chosen)
    return Finding("research", "bad" if missing else state, f"{names}: {message}{lacks}")
