"""TensorFlow Lite files for tests: tensors and operators as a flatbuffer.

file = TfliteFile()
x = file.tensor((1, 8, 8, 3), scale=0.5, zero=-128)
y = file.tensor((1, 8, 8, 3), scale=0.5, zero=-128)
file.operator("RELU", [x], [y])
data = file.pack([x], [y])
"""

import flatbuffers
import numpy as np
import tflite

DTYPES = {
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "FLOAT32": np.float32,
    "INT64": np.int64,
    "INT16": np.int16,
}


class TfliteFile:
    """A file under construction."""

    def __init__(self):
        self.tensors, self.operators = [], []

    def tensor(self, shape, kind="INT8", scale=None, zero=0, values=None, axis=0, name=None):
        """Adds a tensor and returns its index; scale: a number, or one per entry of `axis`."""
        if values is not None:
            values = np.ascontiguousarray(values, DTYPES[kind])
        self.tensors.append(
            (tuple(shape), kind, scale, zero, values, axis, name or f"t{len(self.tensors)}")
        )
        return len(self.tensors) - 1

    def constant(self, values, kind="INT8", scale=None, zero=0, axis=0):
        """Adds a constant and returns its index."""
        return self.tensor(np.shape(values), kind, scale, zero, values, axis)

    def operator(self, name, inputs, outputs, options=None, **fields):
        """Adds an operator; options: the schema's name of its options, fields: their values."""
        self.operators.append((name, inputs, outputs, options, fields))
        return outputs[0]

    def pack(self, inputs, outputs):
        """The bytes of the file."""
        builder = flatbuffers.Builder(1024)
        buffers = [_table(builder, "Buffer")]
        codes = sorted({operator[0] for operator in self.operators})
        tensors = [self._tensor(builder, buffers, *tensor) for tensor in self.tensors]
        operators = [_operator(builder, codes.index(name), *rest) for name, *rest in self.operators]
        graph = _table(
            builder,
            "SubGraph",
            Tensors=_offsets(builder, tensors),
            Inputs=_ints(builder, inputs),
            Outputs=_ints(builder, outputs),
            Operators=_offsets(builder, operators),
        )
        known = [_code(builder, name) for name in codes]
        model = _table(
            builder,
            "Model",
            Version=3,
            OperatorCodes=_offsets(builder, known),
            Subgraphs=_offsets(builder, [graph]),
            Buffers=_offsets(builder, buffers),
        )
        builder.Finish(model, b"TFL3")
        return bytes(builder.Output())

    def _tensor(self, builder, buffers, shape, kind, scale, zero, values, axis, name):
        buffer = 0
        if values is not None:
            buffer = len(buffers)
            buffers.append(
                _table(builder, "Buffer", Data=builder.CreateByteVector(values.tobytes()))
            )
        fields = {}
        if scale is not None:
            scales = np.atleast_1d(np.asarray(scale, np.float32))
            zeros = np.broadcast_to(np.asarray(zero, np.int64), scales.shape)
            fields["Quantization"] = _table(
                builder,
                "QuantizationParameters",
                Scale=builder.CreateNumpyVector(scales),
                ZeroPoint=builder.CreateNumpyVector(np.ascontiguousarray(zeros)),
                QuantizedDimension=axis,
            )
        return _table(
            builder,
            "Tensor",
            Shape=_ints(builder, shape),
            Buffer=buffer,
            Type=getattr(tflite.TensorType, kind),
            Name=builder.CreateString(name),
            **fields,
        )


def _operator(builder, code, inputs, outputs, options, fields):
    more = {}
    if options is not None:
        more = {
            "BuiltinOptionsType": getattr(tflite.BuiltinOptions, options),
            "BuiltinOptions": _table(builder, options, **fields),
        }
    return _table(
        builder,
        "Operator",
        OpcodeIndex=code,
        Inputs=_ints(builder, inputs),
        Outputs=_ints(builder, outputs),
        **more,
    )


def _code(builder, name):
    if name.startswith("CUSTOM "):
        text = builder.CreateString(name.removeprefix("CUSTOM "))
        return _table(
            builder,
            "OperatorCode",
            BuiltinCode=tflite.BuiltinOperator.CUSTOM,
            DeprecatedBuiltinCode=tflite.BuiltinOperator.CUSTOM,
            CustomCode=text,
        )
    number = getattr(tflite.BuiltinOperator, name)
    return _table(
        builder,
        "OperatorCode",
        DeprecatedBuiltinCode=min(number, 127),
        BuiltinCode=number,
        Version=1,
    )


def _table(builder, kind, **fields):
    """A table of the schema with these fields; offsets are made before."""
    getattr(tflite, f"{kind}Start")(builder)
    for name, value in fields.items():
        getattr(tflite, f"{kind}Add{name}")(builder, value)
    return getattr(tflite, f"{kind}End")(builder)


def _ints(builder, values):
    return builder.CreateNumpyVector(np.array(values, np.int32))


def _offsets(builder, offsets):
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
