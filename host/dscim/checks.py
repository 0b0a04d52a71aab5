"""Checks of the arguments of public functions: wrong ones are an ArgumentError, never a result."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.errors import ArgumentError


def check_array(
    what: str, array: Any, dtype: npt.DTypeLike, axes: Sequence[str | int]
) -> npt.NDArray[Any]:
    """`array` if it has this dtype and these axes, else ArgumentError with what it has instead.

    what: its name. axes: one per axis: the size it must have, or a name for a size that is free.
    """
    if not isinstance(array, np.ndarray):
        raise ArgumentError(f"{what} is a {type(array).__name__}, not {_shown(dtype, axes)}.")
    fits = array.ndim == len(axes) and all(
        isinstance(axis, str) or size == axis for size, axis in zip(array.shape, axes, strict=True)
    )
    if array.dtype != np.dtype(dtype) or not fits:
        raise ArgumentError(
            f"{what} is {array.dtype} of shape {array.shape}, not {_shown(dtype, axes)}."
        )
    return array


def check_operands(x: Any, w: Any, zero_point: Any) -> None:
    """ArgumentError unless x (M, K) and w (K, N) are int8, K and N at least 1, and z is int8."""
    check_array("w", w, np.int8, ("K", "N"))
    check_array("x", x, np.int8, ("M", w.shape[0]))
    if 0 in w.shape:
        raise ArgumentError(f"w has the shape {w.shape}; it needs at least one row and column.")
    check_range("zero_point", zero_point, -128, 127)


def check_range(what: str, value: Any, low: int, high: int) -> None:
    """ArgumentError unless `value` is an integer within low..high."""
    if not isinstance(value, int | np.integer) or not low <= value <= high:
        raise ArgumentError(f"{what} {value!r} is not an integer within {low}..{high}.")


def _shown(dtype: npt.DTypeLike, axes: Sequence[str | int]) -> str:
    comma = "," if len(axes) == 1 else ""
    return f"{np.dtype(dtype)} of shape ({', '.join(map(str, axes))}{comma})"
