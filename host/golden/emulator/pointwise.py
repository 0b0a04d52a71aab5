"""Nodes that work value by value, as tables over all their inputs."""

from collections.abc import Callable, Sequence

import numpy as np

from dscim.arrays import Int8


class PointwiseTable:
    """A function of one or two int8 values, computed once for all 256 or 65,536 of them."""

    def __init__(self, function: Callable[..., Int8], arity: int) -> None:
        """function: takes `arity` (1 or 2) int8 arrays of shape (1, H, W, C), as a node does."""
        values = np.arange(256, dtype=np.uint8).view(np.int8)
        grids = np.meshgrid(*[values] * arity, indexing="ij")
        self._table = function(*(grid.reshape(1, 1, 1, -1) for grid in grids)).ravel()

    def __call__(self, inputs: Sequence[Int8]) -> Int8:
        """The function of `inputs`, int8 arrays of one shape."""
        index = inputs[0].view(np.uint8).astype(np.uint16)
        for other in inputs[1:]:
            index <<= 8
            index |= other.view(np.uint8)
        return self._table[index]
