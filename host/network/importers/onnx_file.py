"""An .onnx file as plain Python: operators in order and constants as arrays."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from dscim.arrays import Array
from dscim.errors import UserError

MAX_OPERATORS = 100_000
"""The limit on the operators in a file."""

STANDARD = ("", "ai.onnx")
"""The domains of the standard operators."""

DTYPES = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.INT8,
    onnx.TensorProto.UINT8,
    onnx.TensorProto.INT32,
    onnx.TensorProto.INT64,
)
"""The supported types of constants."""


@dataclass(frozen=True)
class Operator:
    """An operator: its place in the file, its kind, names of its tensors, its attributes."""

    index: int
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    part_of: "Operator | None" = None
    """The operator of the file that this one is a part of; None: itself."""

    @property
    def place(self) -> str:
        """The operator of the file as the subject of a sentence."""
        if self.part_of is not None:
            return self.part_of.place
        made = self.outputs[0] if self.outputs else ""
        return f"operator {self.index} ({self.kind}, output {made!r})"


@dataclass(frozen=True)
class Graph:
    """The graph of a file: its operators, constants by name, its input and its output.

    input: (name, name of the element type, dimensions, where 0 is an open one). opset: the version
    of the standard operators.
    """

    operators: tuple[Operator, ...]
    constants: "Constants"
    input: tuple[str, str, tuple[int, ...]]
    outputs: tuple[str, ...]
    opset: int


class Constants(Mapping[str, Array]):
    """The constants by name; each is read when it is asked for, so unread ones do not matter."""

    def __init__(self, tensors: Mapping[str, Any]) -> None:
        """tensors: by name, a TensorProto, or values."""
        self._tensors = dict(tensors)

    def __getitem__(self, name: str) -> Array:
        held = self._tensors[name]
        return held if isinstance(held, np.ndarray) else constant(held)

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def joined(self, more: Mapping[str, Array]) -> "Constants":
        """These constants and more."""
        return Constants({**self._tensors, **more})


def read(data: bytes) -> Graph:
    """The graph in the bytes of an .onnx file; UserError if it is not one, or damaged."""
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError as error:
        raise UserError("it is not an ONNX file, or it is cut short or damaged.") from error
    graph = model.graph
    if not graph.node or len(graph.node) > MAX_OPERATORS:
        raise UserError(f"it is not an ONNX network: it has {len(graph.node)} operators.")
    constants: dict[str, Any] = {tensor.name: tensor for tensor in graph.initializer}
    operators = []
    for index, node in enumerate(graph.node):
        operator = _operator(index, node)
        if operator.kind == "Constant" and operator.outputs:
            constants[operator.outputs[0]] = _value(operator)
        else:
            operators.append(operator)
    inputs = [item for item in graph.input if item.name not in constants]
    if len(inputs) != 1 or not graph.output:
        names = ", ".join(repr(item.name) for item in inputs)
        raise UserError(
            f"it has {len(inputs)} inputs ({names}) and {len(graph.output)} outputs; a network has "
            "1 input: cut the file, or join the inputs before it."
        )
    opset = max([item.version for item in model.opset_import if item.domain in STANDARD], default=0)
    return Graph(
        tuple(operators),
        Constants(constants),
        _input(inputs[0]),
        tuple(item.name for item in graph.output),
        opset,
    )


def constant(tensor: Any) -> Array:
    """A constant's values; UserError if they do not match its shape or are in another file."""
    if tensor.data_location == onnx.TensorProto.EXTERNAL:
        raise UserError(
            f"the constant {tensor.name!r} is in another file; save the network as "
            "one file, without external data."
        )
    if tensor.data_type not in DTYPES:
        kinds = {value: name for name, value in onnx.TensorProto.DataType.items()}
        raise UserError(
            f"the constant {tensor.name!r} is of type "
            f"{kinds.get(tensor.data_type, tensor.data_type)}; float, int8, uint8, "
            "int32 and int64 are supported."
        )
    count = int(np.prod([int(size) for size in tensor.dims], dtype=object))
    size = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)).itemsize
    stored = (
        len(tensor.raw_data) // size
        if tensor.HasField("raw_data")
        else max(len(tensor.float_data), len(tensor.int32_data), len(tensor.int64_data))
    )
    if min(tensor.dims, default=1) < 0 or count != stored:
        raise UserError(
            f"the file is damaged: the constant {tensor.name!r} of shape "
            f"{tuple(tensor.dims)} has {stored} values."
        )
    values: Array = numpy_helper.to_array(tensor)
    return values


def inferred(data: bytes) -> dict[str, tuple[int, ...]]:
    """The dimensions of the tensors, by name, as far as ONNX can say them; open ones are 1."""
    try:
        graph = onnx.shape_inference.infer_shapes(onnx.ModelProto.FromString(data)).graph
    except Exception:
        return {}
    made = {}
    for item in graph.value_info:
        sizes = tuple(max(int(size.dim_value), 1) for size in item.type.tensor_type.shape.dim)
        made[item.name] = sizes
    return made


def _operator(index: int, node: Any) -> Operator:
    attributes = {
        item.name: onnx.helper.get_attribute_value(item)
        for item in node.attribute
        if not item.ref_attr_name
    }
    known = node.domain in (*STANDARD, "com.microsoft")
    kind = node.op_type if known else f"{node.domain}::{node.op_type}"
    return Operator(index, kind, tuple(node.input), tuple(node.output), attributes)


def _value(operator: Operator) -> Any:
    """The value of a Constant: its TensorProto, or numbers."""
    for name, value in operator.attributes.items():
        if name == "value":
            return value
        if name in ("value_float", "value_floats"):
            return np.asarray(value, np.float32)
        if name in ("value_int", "value_ints"):
            return np.asarray(value, np.int64)
    raise UserError(f"{operator.place} has no numeric value.")


def _input(item: Any) -> tuple[str, str, tuple[int, ...]]:
    """See `Graph.input`."""
    kind = item.type.tensor_type
    names = {value: name for name, value in onnx.TensorProto.DataType.items()}
    dimensions = tuple(int(size.dim_value) for size in kind.shape.dim)
    return item.name, names.get(kind.elem_type, str(kind.elem_type)), dimensions
