"""From a source to validated bars: bulk files, live providers, provenance, validation, quarantine."""
