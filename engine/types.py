"""Array aliases. The axis order is always (time, asset), C order."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
"""float64 of any rank; docstrings give the shape."""

Times = npt.NDArray[np.int64]
"""int64 nanoseconds since 1970-01-01 UTC."""

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NANOSECONDS_PER_SECOND = 1_000_000_000
NANOSECONDS_PER_DAY = 86_400 * NANOSECONDS_PER_SECOND
