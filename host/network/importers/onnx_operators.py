"""The table of all ONNX operators that can be imported."""

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
from dscim.host.network.importers.supported import Supported


def same(importer: OnnxImporter, operator: Operator) -> Value:
    """Identity, and Dropout, which has no effect after training."""
    return importer.value(operator, 0)


_WEIGHTS = "constant weights"
_TABLE = (Lookup, Combine)

TITLES = {
    "Sub": "difference",
    "Mul": "product",
    "Max": "maximum, minimum",
    "Min": "maximum, minimum",
    "Sigmoid": "sigmoid, tanh",
    "Tanh": "sigmoid, tanh",
    "HardSwish": "hard swish",
    "HardSigmoid": "hard swish",
    "LeakyRelu": "ReLU with slopes",
}
"""The titles of functions that other formats have, too."""

OPERATORS: dict[str, Supported] = {
    "Conv": Supported(
        "convolution",
        products.conv,
        (Conv, Depthwise),
        f"images and sequences; {_WEIGHTS}; a window with the "
        "zeros of dilation and groups of at most 32,767 values",
    ),
    "ConvTranspose": Supported(
        "transposed convolution", products.conv_transpose, (Select, Conv), _WEIGHTS
    ),
    "Gemm": Supported(
        "fully connected", products.gemm, (Conv,), f"{_WEIGHTS}; alpha and beta 1, transA 0"
    ),
    "MatMul": Supported(
        "fully connected", products.gemm, (Conv,), f"{_WEIGHTS}; at most 32,767 inputs"
    ),
    "BatchNormalization": Supported(
        "batch normalisation", elementwise.batch_normalization, (Conv, Lookup)
    ),
    "Add": Supported("sum", elementwise.binary, (Add, *_TABLE)),
    **{
        name: Supported(TITLES.get(name, "quotient, power"), elementwise.binary, _TABLE)
        for name in elementwise.BINARY
        if name != "Add"
    },
    "PRelu": Supported("ReLU with slopes", elementwise.prelu, _TABLE),
    "Relu": Supported("ReLU, clip", elementwise.relu, (Requantise,)),
    "Clip": Supported("ReLU, clip", elementwise.clip, (Requantise,), "constant bounds"),
    **{
        name: Supported(TITLES.get(name, "other functions"), elementwise.unary, (Lookup,))
        for name in elementwise.UNARY
    },
    "AveragePool": Supported(
        "average pool",
        reduce.average_pool,
        (AveragePool, Mean),
        "padding not counted; padded, no output scale twice as fine",
    ),
    "MaxPool": Supported("maximum pool", reduce.max_pool, (MaxPool,), "no dilation"),
    "GlobalAveragePool": Supported("mean", reduce.global_pool, (Mean,)),
    "GlobalMaxPool": Supported("greatest, least value", reduce.global_pool, (Extreme,)),
    "ReduceMean": Supported("mean", reduce.reduce, (Mean, Sum)),
    "ReduceSum": Supported("sum over axes", reduce.reduce, (Sum,)),
    "ReduceMax": Supported("greatest, least value", reduce.reduce, (Extreme,)),
    "ReduceMin": Supported("greatest, least value", reduce.reduce, (Extreme,)),
    "Softmax": Supported("softmax", reduce.softmax, (Softmax,)),
    "LogSoftmax": Supported("log-softmax", reduce.softmax, (LogSoftmax,)),
    "Pad": Supported("padding", layouts.pad, (Pad, Select), "with 0"),
    "Concat": Supported("concatenation", layouts.concat, (Concat,)),
    "Split": Supported("split, slice", layouts.split, (Select,)),
    "Slice": Supported("split, slice", layouts.cut, (Select,)),
    "Gather": Supported("split, slice", layouts.gather, (Select,), "a constant list of indices"),
    "Resize": Supported("resize", layouts.resize, (Select,), "the nearest value"),
    "Upsample": Supported("resize", layouts.resize, (Select,), "the nearest value"),
    "Transpose": Supported("transpose", layouts.transpose, (Transpose,)),
    "SpaceToDepth": Supported("space to depth and back", layouts.depth_and_space, (Transpose,)),
    "DepthToSpace": Supported("space to depth and back", layouts.depth_and_space, (Transpose,)),
    "Reshape": Supported("reshape", layouts.reshape, (Reshape,), "constant sizes"),
    "Flatten": Supported("reshape", layouts.reshape, (Reshape,)),
    "Squeeze": Supported("reshape", layouts.reshape, (Reshape,)),
    "Unsqueeze": Supported("reshape", layouts.reshape, (Reshape,)),
    "Identity": Supported("no effect", same),
    "Dropout": Supported("no effect", same),
}
"""The operators by name, except QuantizeLinear and DequantizeLinear."""
