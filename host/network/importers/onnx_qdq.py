"""ONNX QDQ: imports a graph of real operators between quantisers as a network of integers.

The operators between a DequantizeLinear and the next QuantizeLinear become one node. onnxruntime
scales in float32 and rounds ties to even; the nodes scale in fixed point. They differ by at most 1.
"""

from dataclasses import replace
from typing import Any

from dscim.errors import UserError
from dscim.host.network.importers.draft import Imported
from dscim.host.network.importers.onnx_file import Graph, Operator, read
from dscim.host.network.importers.onnx_importer import OnnxImporter
from dscim.host.network.importers.onnx_operators import OPERATORS
from dscim.host.network.importers.onnx_quantisers import dequantise, quantise
from dscim.host.network.importers.onnx_values import Activation, Layout, Pending, Simple
from dscim.host.network.importers.scales import Quantity

SHAPED = ("Reshape", "Squeeze", "Unsqueeze")
"""Operators whose other inputs are shapes, not data."""

HINTS = {
    "ConvTranspose": "a transposed convolution has no layer on the macro; upsample outside the "
    "network, or train with a resize before a Conv",
    "QLinearConv": "quantise in the QDQ format (QuantFormat.QDQ)",
    "QLinearMatMul": "quantise in the QDQ format (QuantFormat.QDQ)",
    "ConvInteger": "quantise statically in the QDQ format (quantize_static)",
    "MatMulInteger": "quantise statically in the QDQ format (quantize_static)",
    "DynamicQuantizeLinear": "quantise statically in the QDQ format (quantize_static)",
    "Sigmoid": "end the network before it",
    "Concat": "join the branches with an Add",
    "Mul": "fold it into the weights before the network is quantised",
    "HardSwish": "train with Clip(0, 6) in its place",
    "LeakyRelu": "train with Relu in its place",
}
"""Hints on what to do about some unsupported operators."""


def import_bytes(data: bytes, name: str, file: dict[str, str]) -> Imported:
    """The network in the bytes of an .onnx file."""
    graph = read(data)
    importer = OnnxImporter(graph)
    importer.start = (graph.input[0], input_layout(graph))
    for operator in _needed(graph):
        _step(importer, operator)
    output = _output(importer)
    assert importer.draft is not None
    if graph.input[1] == "FLOAT":
        importer.notes.insert(
            0,
            "The file takes float32; the network takes it quantised to int8 (uint8 minus 128).",
        )
    return importer.draft.finish(name, output.name, importer.notes, {"format": "ONNX QDQ", **file})


def _step(importer: OnnxImporter, operator: Operator) -> None:
    """Reads one operator and keeps its result."""
    if operator.kind == "QuantizeLinear" and operator.inputs and operator.outputs:
        quantise(importer, operator)
    elif operator.kind == "DequantizeLinear" and operator.inputs and operator.outputs:
        dequantise(importer, operator)
    elif operator.kind in OPERATORS and operator.inputs and operator.outputs:
        if importer.is_start(operator):
            _before_quantiser(importer, operator)
            return
        value = OPERATORS[operator.kind](importer, operator)
        if isinstance(value, Pending) and not value.title:
            value = replace(value, title=f"{operator.kind.lower()}_{operator.index}")
        if isinstance(value, Simple) and value.own is not None:
            value = importer.materialise(operator, value, value.own)
        importer.values[operator.outputs[0]] = value
    else:
        hint = HINTS.get(operator.kind, "rewrite the network without it")
        importer.refuse(
            operator,
            f"is not supported; {hint}, or end the file before it (supported are "
            f"{', '.join(OPERATORS)})",
        )


def _before_quantiser(importer: OnnxImporter, operator: Operator) -> None:
    """Skips a Transpose, Identity or Dropout of the input in real numbers."""
    assert importer.start is not None
    _, layout = importer.start
    if operator.kind == "Transpose" and importer.draft is None:
        order = [int(axis) for axis in operator.attributes.get("perm", ())]
        if sorted(order) == [0, 1, 2, 3] and order[0] == 0 and not layout.flat:
            turned = "".join(layout.order[axis - 1] for axis in order[1:])
            importer.start = (operator.outputs[0], Layout(layout.shape, turned))
            return
    elif operator.kind in ("Identity", "Dropout"):
        importer.start = (operator.outputs[0], layout)
        return
    importer.refuse(
        operator,
        f"takes the input {importer.graph.input[0]!r} in real numbers; quantise it "
        "with a QuantizeLinear first",
    )


def input_layout(graph: Graph) -> Layout:
    """The input's layout: N, C, H, W, or N, H, W, C if a Transpose follows, or N, K."""
    name, kind, sizes = graph.input
    if kind not in ("FLOAT", "INT8", "UINT8"):
        raise UserError(
            f"its input {name!r} is of type {kind}; float, int8 and uint8 are supported."
        )
    if len(sizes) not in (2, 4) or min(sizes[1:], default=0) < 1:
        raise UserError(
            f"its input {name!r} has the dimensions {sizes}; N, C, H, W or N, K with "
            "fixed sizes is needed (0 is an open size)."
        )
    if len(sizes) == 2:
        return Layout((1, 1, sizes[1]), flat=True)
    if _turned(graph, name):
        return Layout((sizes[1], sizes[2], sizes[3]), "hwc")
    return Layout((sizes[2], sizes[3], sizes[1]))


def _turned(graph: Graph, name: str) -> bool:
    """Whether the first operator after the input's quantisers is a Transpose to N, C, H, W."""
    names = {name}
    for operator in graph.operators:
        if operator.inputs and operator.inputs[0] in names:
            if operator.kind == "Transpose":
                return list(operator.attributes.get("perm", ())) == [0, 3, 1, 2]
            if operator.kind in ("QuantizeLinear", "DequantizeLinear", "Identity"):
                names |= set(operator.outputs)
    return False


def _needed(graph: Graph) -> list[Operator]:
    """The operators that the output depends on, in order, without those that compute shapes."""
    needed, wanted = [], {graph.output}
    for operator in reversed(graph.operators):
        if wanted.intersection(operator.outputs):
            needed.append(operator)
            data: Any = operator.inputs[:1] if operator.kind in SHAPED else operator.inputs
            wanted |= set(data)
    return needed[::-1]


def _output(importer: OnnxImporter) -> Activation:
    """The output activation; a softmax without a quantiser gets the scale 1/256."""
    value = importer.values.get(importer.graph.output)
    if isinstance(value, Activation):
        return value
    last = next(
        (
            operator
            for operator in reversed(importer.graph.operators)
            if importer.graph.output in operator.outputs
        ),
        None,
    )
    if last is None:
        raise UserError(f"no operator computes the output {importer.graph.output!r}.")
    if isinstance(value, Pending) and last.kind == "Softmax":
        importer.notes.append(
            "The file ends with a softmax in float32; the network gives int8 with "
            "the scale 1/256 and the zero point -128."
        )
        return importer.materialise(last, value, Quantity(1 / 256, -128))
    importer.refuse(last, "ends the network in real numbers; put a QuantizeLinear after it")
