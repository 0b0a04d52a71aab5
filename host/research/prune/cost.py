"""What a structure costs on paper: multiply-accumulates and parameters."""

from collections.abc import Iterable

from dscim.gateware.specs import LayerSpec
from dscim.host.research.prune.operations import Kind, Operation

WITH_WEIGHTS = (Kind.CONVOLUTION, Kind.CLASSIFIER)


def weights(layer: LayerSpec) -> int:
    """Weights of a layer."""
    return layer.depth * layer.outputs


def macs(operations: Iterable[Operation]) -> int:
    """Multiply-accumulates of the convolutions and of the classifier, for one image."""
    return sum(
        weights(each.layer) * each.layer.output[0] * each.layer.output[1]
        for each in operations
        if each.kind in WITH_WEIGHTS
    )


def parameters(operations: Iterable[Operation]) -> int:
    """Weights, a factor and a bias of each batch norm's channel, the classifier's biases."""
    return sum(
        weights(each.layer) + each.layer.outputs * (2 if each.kind is Kind.CONVOLUTION else 1)
        for each in operations
        if each.kind in WITH_WEIGHTS
    )
