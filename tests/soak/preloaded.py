"""What the server of processes imports once, so that each faulted command starts at once."""

from __future__ import annotations

import contextlib
import importlib

MODULES = (
    "polars",
    "numpy",
    "sklearn.ensemble",
    "sqlalchemy",
    "alembic",
    "mlflow",
    "mlflow.store.db.utils",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.pyfunc",
    "src.hydrate",
    "src.ingest",
    "src.research.collection",
    "src.featurize",
    "src.train",
    "src.sync",
    "src.promote",
    "src.config.compose",
    "src.training.session",
    "src.training.walk_forward",
    "src.tracking.projection",
    "src.tracking.promotion",
    "src.hydration.files",
    "src.features.build",
    "src.models.hist_gradient_boosting",
    "src.tracking.store",
)
for name in MODULES:
    with contextlib.suppress(ImportError):
        importlib.import_module(name)
