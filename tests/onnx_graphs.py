"""Small ONNX files of every operator that can be imported: QDQ and QOperator, or random graphs.

graph = Graph(seed, (1, 3, 8, 8)).step("HardSwish").step("Mul", constant=(1, 3, 1, 1))
data = graph.pack()
"""

import numpy as np
import onnx
from onnx import TensorProto, helper

from tests.onnx_networks import Qdq

FUNCTIONS = (
    *("Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "LeakyRelu", "Elu", "Exp", "Abs", "Neg"),
    *("Erf", "Softplus", "Softsign", "Gelu", "Mish"),
)
"""Functions of one tensor."""


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


def _unary(graph, draw):
    kinds = ["Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "LeakyRelu", "Elu", "Abs", "Neg", "Erf"]
    graph.step(draw(kinds))


def _constant(graph, draw):
    shape = graph.shapes[graph.last]
    own = draw([(), shape[-1:], (1, *shape[1:]), (1, *[draw([1, size]) for size in shape[1:]])])
    graph.step(draw(["Add", "Sub", "Mul", "Max", "Min"]), constant=own, first=draw([True, False]))


def _two(graph, draw):
    shape = graph.shapes[graph.last]
    alike = [name for name in graph.scales if graph.shapes[name] == shape]
    graph.step(draw(["Add", "Sub", "Mul"]), draw(alike))


def _concat(graph, draw):
    shape = graph.shapes[graph.last]
    axis = draw(list(range(1, len(shape))))
    alike = [name for name in graph.scales if graph.shapes[name] == shape]
    made = tuple(2 * size if i == axis else size for i, size in enumerate(shape))
    graph.step("Concat", draw(alike), shape=made, axis=draw([axis, axis - len(shape)]))


def _conv(graph, draw):
    channels = graph.shapes[graph.last][1]
    group = draw([1, channels])
    graph.conv(group * draw([1, 2]), (draw([1, 3]),) * 2, group=group, pads=(1,) * 4).quantised()


def _reduce(graph, draw):
    shape = graph.shapes[graph.last]
    axes = draw([[1], [len(shape) - 1], list(range(1, len(shape)))])
    keep = draw([0, 1])
    made = [1 if i in axes else size for i, size in enumerate(shape)]
    left = [size for i, size in enumerate(shape) if i not in axes]
    kind = draw(["ReduceMean", "ReduceMax", "ReduceMin"])  # axes are an attribute before opset 18
    graph.step(kind, shape=tuple(made if keep else left), axes=axes, keepdims=keep)


def _softmax(graph, draw):
    rank = len(graph.shapes[graph.last])
    if draw([True, False]):
        graph.node("Softmax", axis=draw([-1, rank - 1, 1])).quantised(1 / 256, 0)
    else:
        graph.node("LogSoftmax", axis=draw([-1, 1])).quantised(1 / 16, 255)


def _transpose(graph, draw):
    shape = graph.shapes[graph.last]
    order = draw([[0, *range(2, len(shape)), 1], [0, *range(1, len(shape))[::-1]]])
    graph.shaped("Transpose", tuple(shape[axis] for axis in order), perm=order)


def _reshape(graph, draw):
    shape = graph.shapes[graph.last]
    count = int(np.prod(shape))
    made = draw([(1, count), (1, 1, *shape[1:]), (1, count // shape[-1], shape[-1])])
    graph.shaped("Reshape", made, draw([made, (*made[:-1], -1)]))


def _slice(graph, draw):
    shape = graph.shapes[graph.last]
    axis = draw(list(range(1, len(shape))))
    first, step = draw([(0, 1), (0, 2), (shape[axis] - 1, -1)])
    last = -shape[axis] - 1 if step < 0 else shape[axis]
    count = len(range(shape[axis])[slice(first, None if step < 0 else last, step)])
    made = tuple(count if i == axis else size for i, size in enumerate(shape))
    graph.shaped("Slice", made, [first], [last], [axis], [step])


def _pool(graph, draw):
    kind, (_, channels, height, width) = draw(["MaxPool", "AveragePool"]), graph.shapes[graph.last]
    made = (1, channels, height, width)
    graph.node(kind, shape=made, kernel_shape=[3, 1], pads=[1, 0, 1, 0])
    graph.again()


def _image(shape):
    return len(shape) == 4


STEPS = {
    "unary": (lambda shape: True, _unary),
    "constant": (lambda shape: True, _constant),
    "two": (lambda shape: True, _two),
    "concat": (lambda shape: len(shape) > 1 and max(shape) < 20, _concat),
    "conv": (_image, _conv),
    "linear": (lambda shape: len(shape) > 1, lambda graph, draw: graph.linear(draw([1, 4]))),
    "reduce": (lambda shape: len(shape) > 1, _reduce),
    "softmax": (lambda shape: 1 < len(shape) < 5, _softmax),
    "transpose": (lambda shape: len(shape) > 2, _transpose),
    "reshape": (lambda shape: len(shape) < 5, _reshape),
    "slice": (lambda shape: len(shape) > 1, _slice),
    "split": (
        lambda shape: shape[-1] % 2 == 0 and len(shape) > 1,
        lambda graph, draw: graph.split(len(graph.shapes[graph.last]) - 1, 2),
    ),
    "pool": (_image, _pool),
    "relu": (lambda shape: True, lambda graph, draw: graph.relu().quantised()),
    "transposed": (
        lambda shape: _image(shape) and max(shape) < 12,
        lambda graph, draw: graph.transposed_conv(draw([1, 3])),
    ),
}
"""The steps of a random graph: whether each fits a shape, and what it adds."""


def random_graph(draw, seed):
    """A graph of any operators that fit each other; draw: gives an entry of a list."""
    shape = draw([(1, 3, 4, 6), (1, 2, 5, 3), (1, 4, 6), (1, 10), (1, 1, 1, 4)])
    graph = Graph(seed, shape, draw([np.uint8, np.int8]))
    for _ in range(draw([1, 2, 3, 4, 5, 6])):
        steps = [step for step, (fits, _) in STEPS.items() if fits(graph.shapes[graph.last])]
        STEPS[draw(steps)][1](graph, draw)
    return graph
