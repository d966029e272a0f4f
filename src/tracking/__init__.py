"""MLflow: runs, models and the gated registry, as a projection of what training stored."""
