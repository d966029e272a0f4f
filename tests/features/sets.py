"""The declared features by what they need: bars alone, or facts of research too."""

from src.features.catalog import declared

ON_BARS = [item for item in declared().values() if item.group != "research"]
OF_RESEARCH = [item for item in declared().values() if item.group == "research"]
