"""Settings: the schema of conf/ with its constraints, composed by Hydra into one checked configuration."""
