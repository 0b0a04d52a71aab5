"""Small ONNX files of every operator that can be imported: QDQ and QOperator, or random graphs.

graph = Graph(seed, (1, 3, 8, 8)).step("HardSwish").step("Mul", constant=(1, 3, 1, 1))
data = graph.pack()
"""

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.onnx_networks import Qdq


class Graph(Qdq):
    """A chain of operators, each quantised; `ends` are other outputs, in real numbers."""

    opset = 17
    ends = ()

    def step(self, kind, *more, constant=None, first=True, shape=None, keep=False, **attributes):
        """An operator on the last tensor, other tensors and a constant, then quantisers."""
        inputs = [self.last, *more]
        if constant is not None:
            values = self.generator.integers(-60, 60, constant) / 32
            name = self.constant(np.asarray(values, np.float32))
            inputs = [*inputs, name] if first else [name, *inputs]
        shapes = [self.shapes[name] for name in (self.last, *more)]
        if constant is not None:
            shapes.append(constant)
        if shape is None:
            shape = tuple(np.broadcast_shapes(*shapes))
        self.node(kind, *inputs, shape=shape, **attributes)
        return self.again() if keep else self.quantised()

    def again(self):
        """Quantised with the scale and zero point of the last quantised tensor in the chain."""
        scale, zero = self.scales[self.before]
        return self.quantised(scale, zero + (0 if self.kind is np.uint8 else 128))

    def quantised(self, scale=None, zero=None):
        super().quantised(scale, zero)
        self.before = self.last
        return self

    def shaped(self, kind, shape, *constants, **attributes):
        """An operator whose other inputs are lists of int64; it keeps the numbers."""
        names = [self.constant(np.asarray(each, np.int64)) for each in constants]
        self.node(kind, self.last, *names, shape=shape, **attributes)
        return self.again()

    def transposed_conv(self, outputs, kernel=(3, 3), strides=(2, 2), pads=(0,) * 4, **more):
        """ConvTranspose with quantised weights."""
        _, channels, height, width = self.shapes[self.last]
        group = more.get("group", 1)
        name, scale = self.weights(
            (channels, outputs // group, *kernel),
            channels * kernel[0] * kernel[1] // 2,
            1,
            group == 1,
        )
        sides = [
            (size - 1) * strides[i] + kernel[i] - pads[i] - pads[i + 2]
            for i, size in enumerate((height, width))
        ]
        bias = [self.bias(scale, outputs)] if group == 1 else []
        self.node(
            "ConvTranspose",
            self.last,
            name,
            *bias,
            shape=(1, outputs, *sides),
            strides=list(strides),
            pads=list(pads),
            **more,
        )
        return self.quantised()

    def sequence(self, outputs, kernel=3, dilation=1):
        """A Conv over (N, C, W), with as many values as before."""
        _, channels, width = self.shapes[self.last]
        name, scale = self.weights((outputs, channels, kernel), channels * kernel, 0)
        pads = [dilation * (kernel // 2)] * 2
        self.node(
            "Conv",
            self.last,
            name,
            self.bias(scale, outputs),
            shape=(1, outputs, width),
            pads=pads,
            dilations=[dilation],
        )
        return self.quantised()

    def linear(self, outputs):
        """MatMul of the last dimension."""
        shape = self.shapes[self.last]
        name, _ = self.weights((shape[-1], outputs), shape[-1], 1)
        self.node("MatMul", self.last, name, shape=(*shape[:-1], outputs))
        return self.quantised()

    def split(self, axis, count):
        """Split into equal parts; the last one goes on, the first is another output."""
        shape = list(self.shapes[self.last])
        shape[axis] //= count
        names = [f"split{len(self.nodes)}_{part}" for part in range(count)]
        more = {"num_outputs": count} if self.opset >= 18 else {}
        self.nodes.append(helper.make_node("Split", [self.last], names, axis=axis, **more))
        for name in names:
            self.shapes[name] = tuple(shape)
        scale, zero = self.scales[self.before]
        self.last = names[0]
        self.quantised(scale, zero + (0 if self.kind is np.uint8 else 128))
        self.ends = (self.last,)
        self.last = names[-1]
        return self.quantised(scale, zero + (0 if self.kind is np.uint8 else 128))

    def pack(self):
        """The bytes of the file."""
        outputs = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [None] * len(self.shapes[name]))
            for name in (self.last, *self.ends)
        ]
        graph = helper.make_graph(self.nodes, "test", [self.first], outputs, self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)])
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model.SerializeToString()
