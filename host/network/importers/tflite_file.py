"""A .tflite file as plain Python: the tensors and operators of its only graph.

The `tflite` package has the schema of the flatbuffer. Its accessors trust every offset and
length in the file, so lengths are compared with the file's size before any loop over them.
"""

import struct
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import tflite

from dscim.arrays import Array, Float32, Int64
from dscim.errors import UserError

Options = TypeVar("Options")

TYPES = {value: name for name, value in vars(tflite.TensorType).items() if name.isupper()}
OPERATORS = {value: name for name, value in vars(tflite.BuiltinOperator).items() if name.isupper()}
DTYPES: dict[str, np.dtype[Any]] = {
    "INT8": np.dtype("i1"),
    "UINT8": np.dtype("u1"),
    "INT32": np.dtype("<i4"),
    "INT64": np.dtype("<i8"),
    "FLOAT32": np.dtype("<f4"),
}
"""The supported types of constants."""

DAMAGE = (struct.error, TypeError, ValueError, IndexError, OverflowError, AttributeError)
"""Errors of the accessors for wrong offsets."""


@dataclass(frozen=True)
class Tensor:
    """A tensor: the name of its type, its shape, and the quantisation of its integers.

    scale, zero: one entry, or one per index of `axis`; empty if it is not quantised.
    values: those of a constant, in its shape; else None.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    scale: Float32
    zero: Int64
    axis: int
    values: Array | None


@dataclass(frozen=True)
class Operator:
    """An operator: its name in the schema, the indices of its tensors (-1: absent), its options.

    table, table_kind: the options as the flatbuffer's table, None if absent, and its type.
    """

    index: int
    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    table: Any
    table_kind: int

    def options(self, kind: type[Options]) -> Options:
        """The operator's options, an object of the schema's class `kind`."""
        if self.table is None or self.table_kind != getattr(tflite.BuiltinOptions, kind.__name__):
            raise UserError(f"operator {self.index} ({self.name}) has no {kind.__name__}.")
        options = kind()
        options.Init(self.table.Bytes, self.table.Pos)  # type: ignore[attr-defined]
        return options


@dataclass(frozen=True)
class Graph:
    """The graph of a file: tensors, operators in order, the indices of its inputs and outputs."""

    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read(data: bytes) -> Graph:
    """The graph in the bytes of a .tflite file; UserError if it is not one, or damaged."""
    if data[4:8] != b"TFL3":
        raise UserError("it is not a TensorFlow Lite file: the identifier TFL3 is missing.")
    try:
        return _graph(data)
    except DAMAGE as error:
        raise UserError(f"the file is cut short or damaged: {error}.") from error


def _graph(data: bytes) -> Graph:
    model = tflite.Model.GetRootAsModel(data, 0)
    graphs = _count(data, model.SubgraphsLength())
    if graphs != 1:
        raise UserError(f"it has {graphs} graphs; only one, without control flow, is supported.")
    graph = model.Subgraphs(0)
    tensors = tuple(
        _tensor(data, model, graph.Tensors(index))
        for index in range(_count(data, graph.TensorsLength()))
    )
    operators = tuple(
        _operator(data, model, graph.Operators(index), index, len(tensors))
        for index in range(_count(data, graph.OperatorsLength()))
    )
    return Graph(
        tensors,
        operators,
        _indices(graph.InputsAsNumpy(), len(tensors)),
        _indices(graph.OutputsAsNumpy(), len(tensors)),
    )


def _count(data: bytes, length: int) -> int:
    """A vector's length; UserError if the file is too short for so many 4-byte entries."""
    if not 0 <= length <= len(data) // 4:
        raise UserError(
            f"the file is damaged: a list of {length} entries does not fit in {len(data)} bytes."
        )
    return length


def _indices(vector: Any, tensors: int) -> tuple[int, ...]:
    """Indices of tensors; -1 for an absent one."""
    indices = tuple(int(index) for index in _vector(vector))
    if any(not -1 <= index < tensors for index in indices):
        raise UserError(f"the file is damaged: it refers to tensors {indices} of {tensors}.")
    return indices


def _vector(vector: Any) -> Array:
    """A vector as an array; the accessors return 0 for an absent one."""
    return vector if isinstance(vector, np.ndarray) else np.zeros(0, np.int64)


def _tensor(data: bytes, model: Any, raw: Any) -> Tensor:
    kind = TYPES.get(raw.Type(), f"number {raw.Type()}")
    shape = tuple(int(size) for size in _vector(raw.ShapeAsNumpy()))
    name = (raw.Name() or b"").decode()
    if raw.Sparsity() is not None:
        raise UserError(f"the tensor {name!r} is sparse; convert without the sparse encoding.")
    scale, zero, axis = np.zeros(0, np.float32), np.zeros(0, np.int64), 0
    quantised = raw.Quantization()
    if quantised is not None:
        scale = _vector(quantised.ScaleAsNumpy()).astype(np.float32)
        zero = _vector(quantised.ZeroPointAsNumpy()).astype(np.int64)
        axis = int(quantised.QuantizedDimension())
        if len(zero) != len(scale):
            zero = np.broadcast_to(zero[:1] if len(zero) else np.int64(0), scale.shape)
    return Tensor(name, kind, shape, scale, zero, axis, _values(data, model, raw, kind, shape))


def _values(data: bytes, model: Any, raw: Any, kind: str, shape: tuple[int, ...]) -> Array | None:
    """A constant's values; None for a computed tensor or an unsupported type."""
    index = raw.Buffer()
    if not 0 <= index < _count(data, model.BuffersLength()):
        raise UserError(
            f"the file is damaged: it refers to buffer {index} of {model.BuffersLength()}."
        )
    buffer = model.Buffers(index)
    content = _vector(buffer.DataAsNumpy()).view(np.uint8)
    if buffer.Offset() > 1:
        content = np.frombuffer(data, np.uint8, buffer.Size(), buffer.Offset())
    if not content.size or kind not in DTYPES:
        return None
    count = int(np.prod(shape, dtype=object))
    if min(shape, default=1) < 0 or count * DTYPES[kind].itemsize != content.size:
        raise UserError(
            f"the file is damaged: a constant of shape {shape} and type {kind} has "
            f"{content.size} bytes."
        )
    values: Array = content.view(DTYPES[kind])
    return values.reshape(shape)


def _operator(data: bytes, model: Any, raw: Any, index: int, tensors: int) -> Operator:
    opcode = raw.OpcodeIndex()
    if not 0 <= opcode < _count(data, model.OperatorCodesLength()):
        raise UserError(
            f"the file is damaged: it refers to operator code {opcode} of "
            f"{model.OperatorCodesLength()}."
        )
    code = model.OperatorCodes(opcode)
    number = max(code.DeprecatedBuiltinCode(), code.BuiltinCode())
    name = OPERATORS.get(number, f"number {number}")
    if name == "CUSTOM":
        name = f"CUSTOM {(code.CustomCode() or b'').decode()}"
    return Operator(
        index,
        name,
        _indices(raw.InputsAsNumpy(), tensors),
        _indices(raw.OutputsAsNumpy(), tensors),
        raw.BuiltinOptions(),
        raw.BuiltinOptionsType(),
    )
