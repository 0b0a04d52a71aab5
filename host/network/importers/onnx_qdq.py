"""ONNX: imports a graph of real operators between quantisers as a network of integers.

The operators between a DequantizeLinear and the next QuantizeLinear become one node. onnxruntime
scales in float32 and rounds ties to even; the nodes scale in fixed point. They differ by at most 1.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dscim.errors import UserError
from dscim.host.network.importers.draft import Entry, File, Imported
from dscim.host.network.importers.joined import join_outputs, said
from dscim.host.network.importers.onnx_file import Graph, Operator, read
from dscim.host.network.importers.onnx_importer import OnnxImporter
from dscim.host.network.importers.onnx_layouts import SHAPES, reshaped_dims
from dscim.host.network.importers.onnx_operators import OPERATORS
from dscim.host.network.importers.onnx_qoperator import rewritten
from dscim.host.network.importers.onnx_quantisers import dequantise, quantise
from dscim.host.network.importers.onnx_values import (
    Activation,
    Layout,
    Pending,
    Simple,
    Value,
    image_layout,
    plain_layout,
)
from dscim.host.network.importers.scales import Quantity
from dscim.host.network.importers.views import MAX_DIMENSION, Dims

SHAPED = ("Reshape", "Squeeze", "Unsqueeze")
"""Operators whose other inputs are shapes, not data."""

DYNAMIC = "quantise statically (quantize_static) in the QDQ or the QOperator format"

HINTS = {"ConvInteger": DYNAMIC, "MatMulInteger": DYNAMIC, "DynamicQuantizeLinear": DYNAMIC}
"""Hints on what to do about some unsupported operators."""

TYPES = {"FLOAT": "float32", "INT8": "int8", "UINT8": "uint8"}
"""numpy's names of the types of a file's input."""

IMAGES = (
    "Conv",
    "ConvTranspose",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "BatchNormalization",
)
"""Operators that take (N, channels, width)."""


def import_bytes(data: bytes, name: str, facts: dict[str, Any]) -> Imported:
    """The network in the bytes of an .onnx file."""
    graph = rewritten(read(data))
    importer = begun(graph)
    for operator in needed(graph):
        step(importer, operator)
    outputs = [output_of(importer, tensor) for tensor in graph.outputs]
    assert importer.start is not None and importer.draft is not None
    if graph.input[1] == "FLOAT":
        importer.notes.insert(
            0,
            "The file takes float32; the network takes it quantised to int8 (uint8 minus 128).",
        )
    source, kind, dims = graph.input
    batch = max(dims[0], 1)
    if batch > 1:
        importer.notes.append(
            f"The file takes {batch} images at once; the network takes them one by one."
        )
    last, parts = join_outputs(importer.draft, [value.name for value in outputs])
    if parts:
        facts = {**facts, "outputs": parts}
        importer.notes.append(said(graph.outputs, parts))
    entry = Entry(source, TYPES[kind], input_layout(graph).order, dims[1:])
    file = File({"format": "ONNX QDQ", **facts}, "onnxruntime", batch, entry)
    return importer.draft.finish(name, last, importer.notes, file)


def begun(graph: Graph) -> OnnxImporter:
    """An importer at the file's input."""
    importer = OnnxImporter(graph)
    importer.start = (graph.input[0], input_layout(graph))
    return importer


def step(importer: OnnxImporter, operator: Operator) -> None:
    """Reads one operator and keeps its result; UserError, which names it, if it cannot."""
    if not operator.outputs or (not operator.inputs and operator.kind in OPERATORS):
        importer.refuse(operator, "has no inputs or no outputs")
    if operator.kind == "QuantizeLinear" and operator.inputs:
        quantise(importer, operator)
    elif operator.kind == "DequantizeLinear" and operator.inputs:
        dequantise(importer, operator)
    elif operator.kind in OPERATORS:
        if importer.is_start(operator):
            _before_quantiser(importer, operator)
            return
        made = OPERATORS[operator.kind].handle(importer, operator)
        values = made if isinstance(made, Sequence) else [made]
        for tensor, value in zip(operator.outputs, values, strict=False):
            importer.values[tensor] = _kept(importer, operator, value)
    else:
        hint = HINTS.get(operator.kind, "rewrite the network without it")
        importer.refuse(
            operator,
            f"is not supported; {hint}, or end the file before it (--check lists all operators of "
            "a file)",
        )


def _kept(importer: OnnxImporter, operator: Operator, value: Value) -> Value:
    """The value with a name for its node; a node at once if its scale is that of its input."""
    if isinstance(value, Pending) and not value.title:
        value = replace(value, title=f"{operator.kind.lower()}_{operator.index}")
    if type(value) is Simple and value.own is not None:
        stored = value.inputs[0].stored
        value = importer.materialise(operator, value, value.own, stored)
    return value


def _before_quantiser(importer: OnnxImporter, operator: Operator) -> None:
    """Skips what only moves or regroups the input in real numbers."""
    assert importer.start is not None
    _, layout = importer.start
    if operator.kind == "Transpose" and importer.draft is None and layout.direct:
        order = [int(axis) for axis in operator.attributes.get("perm", ())]
        if sorted(order) == [0, 1, 2, 3] and order[0] == 0:
            turned = "".join(layout.order[axis - 1] for axis in order[1:])
            dims = tuple(layout.dims[axis] for axis in order)
            importer.start = (operator.outputs[0], Layout(layout.shape, turned, dims))
            return
    elif operator.kind in SHAPES and importer.draft is None:
        dims = reshaped_dims(importer, operator, layout.dims)
        importer.start = (operator.outputs[0], replace(layout, dims=dims))
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
    """The input's layout: an image N, C, H, W or N, C, W, or a tensor in order.

    N, H, W, C if a Transpose follows.
    """
    name, kind, sizes = graph.input
    if kind not in TYPES:
        more = " (16 bits do not fit the macro)" if kind in ("INT16", "UINT16") else ""
        raise UserError(
            f"its input {name!r} is of type {kind}{more}; float, int8 and uint8 are supported."
        )
    if not 1 <= len(sizes) <= 6 or min(sizes[1:], default=1) < 1:
        raise UserError(
            f"its input {name!r} has the dimensions {sizes}; at most 6 with fixed sizes after the "
            "batch are needed (0 is an open size)."
        )
    if max(sizes[1:], default=1) > MAX_DIMENSION:
        raise UserError(
            f"its input {name!r} has the dimensions {sizes}; the limit of a dimension is "
            f"{MAX_DIMENSION}."
        )
    dims: Dims = (1, *sizes[1:])
    if len(dims) == 4:
        if _turned(graph, name):
            return Layout((dims[1], dims[2], dims[3]), "hwc", dims)
        return image_layout(dims)
    if len(dims) == 3 and any(operator.kind in IMAGES for operator in graph.operators):
        return image_layout(dims)
    return plain_layout(dims)


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


def needed(graph: Graph) -> list[Operator]:
    """The operators that the outputs depend on, in order, without those that compute shapes."""
    found, wanted = [], set(graph.outputs)
    for operator in reversed(graph.operators):
        if wanted.intersection(operator.outputs):
            found.append(operator)
            data: Any = operator.inputs[:1] if operator.kind in SHAPED else operator.inputs
            wanted |= set(data)
    return found[::-1]


def output_of(importer: OnnxImporter, tensor: str) -> Activation:
    """An output as integers; a softmax without a quantiser gets the scale 1/256."""
    value = importer.values.get(tensor)
    if isinstance(value, Activation):
        return value
    last = next(
        (each for each in reversed(importer.graph.operators) if tensor in each.outputs), None
    )
    if last is None:
        raise UserError(f"no operator computes the output {tensor!r}.")
    if isinstance(value, Pending) and last.kind == "Softmax":
        importer.notes.append(
            "The file ends with a softmax in float32; the network gives int8 with "
            "the scale 1/256 and the zero point -128."
        )
        return importer.materialise(last, value, Quantity(1 / 256, -128), "uint8")
    importer.refuse(last, "ends the network in real numbers; put a QuantizeLinear after it")
