"""numpy reference: the contract point by point, the matrix form, whole layers."""

from dscim.host.golden.reference.layer import PreparedLayer, weight_matrix, windows
from dscim.host.golden.reference.matrix import PreparedWeights, product
from dscim.host.golden.reference.requantise import (
    multiply_by_quantized_multiplier,
    multiply_rounding_once,
    requantise,
    scaled,
)

__all__ = [
    "PreparedLayer",
    "PreparedWeights",
    "multiply_by_quantized_multiplier",
    "multiply_rounding_once",
    "product",
    "requantise",
    "scaled",
    "weight_matrix",
    "windows",
]
