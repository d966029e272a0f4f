import inspect
import sys

import numpy as np
import talib as library

from src.core.project import ROOT
from src.features.ta_library import talib
from tests import process_case

DECLARED = """
import sys
from src.features.catalog import code_hash, declared
assert all(map(code_hash, declared().values()))
print({"talib", "pandas", "scipy.stats"} & set(sys.modules))
"""


def test_formulas_call_the_library_itself() -> None:
    x = 100.0 + np.cumsum(np.random.default_rng(0).standard_normal(80))
    np.testing.assert_array_equal(talib.EMA(x, 12), library.EMA(x, 12))
    assert talib.EMA is inspect.unwrap(library.EMA) is not library.EMA
    assert talib.__name__ == library.__name__


def test_declaring_and_hashing_features_imports_neither_talib_nor_pandas() -> None:
    done = process_case.run([sys.executable, "-c", DECLARED], cwd=ROOT, check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "set()"
