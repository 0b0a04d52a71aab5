"""Matrix products in float32 that come out alike on every machine."""

import numpy as np

from dscim.arrays import Float32


def matmul(a: Float32, b: Float32) -> Float32:
    """a @ b, added up in float64 and rounded once.

    How a library of linear algebra orders float32 sums depends on threads and processor; rounding
    to FP8 then makes steps of last bits. Of float64 sums what is left of that is all but never
    seen after the rounding.
    """
    return (a.astype(np.float64) @ b.astype(np.float64)).astype(np.float32)
