"""The table of all ONNX operators that can be imported."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dscim.host.network import (
    Add,
    AveragePool,
    Combine,
    Concat,
    Conv,
    Depthwise,
    Extreme,
    LogSoftmax,
    Lookup,
    MaxPool,
    Mean,
    Node,
    Pad,
    Requantise,
    Reshape,
    Select,
    Softmax,
    Sum,
    Transpose,
)
from dscim.host.network.importers import onnx_elementwise as elementwise
from dscim.host.network.importers import onnx_layouts as layouts
from dscim.host.network.importers import onnx_products as products
from dscim.host.network.importers import onnx_reduce as reduce
from dscim.host.network.importers.onnx_file import Operator
from dscim.host.network.importers.onnx_importer import OnnxImporter
from dscim.host.network.importers.onnx_values import Value

Handle = Callable[[OnnxImporter, Operator], Value | Sequence[Value]]


def same(importer: OnnxImporter, operator: Operator) -> Value:
    """Identity, and Dropout, which has no effect after training."""
    return importer.value(operator, 0)


@dataclass(frozen=True)
class Supported:
    """An operator that can be imported.

    handle: gives its result, or one per output. kinds: the nodes that compute it, of which it may
    need none. limits: what is refused, for the table of operators.
    """

    handle: Handle
    kinds: tuple[type[Node], ...] = ()
    limits: str = ""


_WEIGHTS = "constant symmetric weights"
_TABLE = (Lookup, Combine)

OPERATORS: dict[str, Supported] = {
    "Conv": Supported(
        products.conv,
        (Conv, Depthwise),
        f"images and sequences; {_WEIGHTS}; a window with the "
        "zeros of dilation and groups of at most 32,767 values",
    ),
    "ConvTranspose": Supported(products.conv_transpose, (Select, Conv), _WEIGHTS),
    "Gemm": Supported(products.gemm, (Conv,), f"{_WEIGHTS}; alpha and beta 1, transA 0"),
    "MatMul": Supported(products.gemm, (Conv,), f"{_WEIGHTS}; at most 32,767 inputs"),
    "BatchNormalization": Supported(elementwise.batch_normalization, (Conv, Lookup)),
    "Add": Supported(elementwise.binary, (Add, *_TABLE)),
    **{name: Supported(elementwise.binary, _TABLE) for name in elementwise.BINARY if name != "Add"},
    "PRelu": Supported(elementwise.prelu, _TABLE),
    "Relu": Supported(elementwise.relu, (Requantise,)),
    "Clip": Supported(elementwise.clip, (Requantise,), "constant bounds"),
    **{name: Supported(elementwise.unary, (Lookup,)) for name in elementwise.UNARY},
    "AveragePool": Supported(
        reduce.average_pool, (AveragePool, Mean), "padding not counted; no finer output scale"
    ),
    "MaxPool": Supported(reduce.max_pool, (MaxPool,), "no dilation"),
    "GlobalAveragePool": Supported(reduce.global_pool, (Mean,)),
    "GlobalMaxPool": Supported(reduce.global_pool, (Extreme,)),
    "ReduceMean": Supported(reduce.reduce, (Mean, Sum)),
    "ReduceSum": Supported(reduce.reduce, (Sum,)),
    "ReduceMax": Supported(reduce.reduce, (Extreme,)),
    "ReduceMin": Supported(reduce.reduce, (Extreme,)),
    "Softmax": Supported(reduce.softmax, (Softmax,)),
    "LogSoftmax": Supported(reduce.softmax, (LogSoftmax,)),
    "Pad": Supported(layouts.pad, (Pad, Select), "with 0"),
    "Concat": Supported(layouts.concat, (Concat,)),
    "Split": Supported(layouts.split, (Select,)),
    "Slice": Supported(layouts.cut, (Select,)),
    "Gather": Supported(layouts.gather, (Select,), "a constant list of indices"),
    "Resize": Supported(layouts.resize, (Select,), "the nearest value"),
    "Upsample": Supported(layouts.resize, (Select,), "the nearest value"),
    "Transpose": Supported(layouts.transpose, (Transpose,)),
    "SpaceToDepth": Supported(layouts.depth_and_space, (Transpose,)),
    "DepthToSpace": Supported(layouts.depth_and_space, (Transpose,)),
    "Reshape": Supported(layouts.reshape, (Reshape,), "constant sizes"),
    "Flatten": Supported(layouts.reshape, (Reshape,)),
    "Squeeze": Supported(layouts.reshape, (Reshape,)),
    "Unsqueeze": Supported(layouts.reshape, (Reshape,)),
    "Identity": Supported(same),
    "Dropout": Supported(same),
}
"""The operators by name, except QuantizeLinear and DequantizeLinear."""
