"""From a source to validated bars: files, live providers, provenance, validation, quarantine."""
