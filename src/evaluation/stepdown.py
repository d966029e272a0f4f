"""Which runs of a session stand out when its best run is compared with the best by luck: a stepdown by the largest z.

The session's common shifts displace all runs alike, so the largest z at a shift is the best that a session without
skill shows, with all the likeness between instruments, families and settings that there is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import polars as pl

from src.core.arrays import FloatArray

Shifted = npt.NDArray[np.float32]


def with_stepdown_p(grades: pl.DataFrame) -> pl.DataFrame:
    """Fill the stepdown's p-value of each run of a session.

    Parameters
    ----------
    grades : DataFrame
        One row a run: z, p_value and shift_z, the z-scores of its AUC at the common shifts as float16 (little-endian).

    Returns
    -------
    DataFrame
        The same rows with ``stepdown_p``, in (0, 1]: 1 for a run without z-scores or with a p-value of 1 (it is too
        short to count), null on every row where the grades hold no shifts at all.
    """
    if "shift_z" not in grades.columns or grades["shift_z"].null_count() == grades.height:
        return grades.with_columns(stepdown_p=pl.lit(None, pl.Float64))
    counts = pl.col("z").is_not_null() & pl.col("shift_z").is_not_null() & (pl.col("p_value").fill_null(1.0) < 1.0)
    chosen = grades.select(counts).to_series()
    kept = grades.filter(chosen)
    adjusted = np.ones(grades.height)
    if kept.height:
        words = np.frombuffer(b"".join(kept["shift_z"].to_list()), dtype="<f2").reshape(kept.height, -1)
        adjusted[chosen.to_numpy()] = stepdown_p(kept["z"].to_numpy(), words.astype(np.float32))
    return grades.with_columns(stepdown_p=pl.Series(adjusted))


def stepdown_p(z: FloatArray, shifted: Shifted) -> FloatArray:
    """Adjust p-values for the family-wise error rate by the joint distribution of the largest statistic.

    The run with the largest z is compared with the largest of all runs at each shift, the second with the largest of
    all but the first, and so on; no p-value is below that of a run with a larger z.

    Parameters
    ----------
    z : float64, shape (m,)
        Of the runs.
    shifted : float32, shape (m, b)
        Of the runs at the common shifts; NaN where a run has none.

    Returns
    -------
    float64, shape (m,), in [1/(b+1), 1]

    Source
    ------
    Romano and Wolf, "Stepwise multiple testing as formalized data snooping", Econometrica 73 (2005), p. 1237; computed
    as in "Efficient computation of adjusted p-values for resampling-based stepdown multiple testing", Statistics &
    Probability Letters 113 (2016), p. 38.
    """
    order = np.argsort(-z, kind="stable")
    largest = np.nan_to_num(shifted[order], nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    largest = np.maximum.accumulate(largest[::-1], axis=0, out=largest[::-1])[::-1]
    # float16 rounds a shift's z, so that of the run is rounded alike before they are compared
    compared = z[order].astype(np.float16).astype(np.float32)
    reached = np.count_nonzero(largest >= compared[:, None], axis=1)
    adjusted = np.empty(z.size)
    adjusted[order] = np.maximum.accumulate((reached + 1.0) / (shifted.shape[1] + 1.0))
    return adjusted
