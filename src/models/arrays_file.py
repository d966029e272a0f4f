"""Models that are arrays by name, as the content of one file without pickle."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

from src.models.library import LazyModule

np: Any = LazyModule("numpy")


def content(arrays: Mapping[str, Any]) -> bytes:
    """Return arrays in NumPy's zipped format.

    Parameters
    ----------
    arrays : mapping of str to array
        No array of objects.

    Returns
    -------
    bytes
        The same for the same arrays: `numpy.savez` would add the time of day.
    """
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as entry:
                np.save(entry, array, allow_pickle=False)
    return stream.getvalue()
