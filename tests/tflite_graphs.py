"""Small .tflite files of every operator that can be imported: one by one, or in random graphs.

graph = Graph(seed, (1, 8, 8, 3)).unary("HARD_SWISH").binary("MUL", constant=(3,))
data = graph.pack()
"""

import numpy as np

from tests.tflite_networks import NONE, RELU, RELU6, SAME, VALID, Chain, _sides

UNARY = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0), "HARD_SWISH": (), "LEAKY_RELU": ()}
"""The functions of one tensor, and the output quantity that LiteRT demands."""

BINARY = {"ADD": "AddOptions", "SUB": "SubOptions", "MUL": "MulOptions"}


class Graph(Chain):
    """A chain of operators; `last` is the output of the last one, `ends` are other outputs."""

    ends = ()

    def unary(self, name, **fields):
        """A function of one tensor."""
        quantity = UNARY[name] or (None, None)
        source_scale = self.scales[self.last]
        if name == "HARD_SWISH":
            quantity = (source_scale * float(self.generator.uniform(0.3, 1.2)), None)
        result = self.made(self.shapes[self.last], *quantity)
        options = "LeakyReluOptions" if name == "LEAKY_RELU" else None
        if options:
            fields.setdefault("Alpha", float(np.float32(self.generator.uniform(-0.5, 1.2))))
        self.file.operator(name, [self.last], [result], options, **fields)
        self.last = result
        return self

    def fixed(self, shape, scale=None, zero=None):
        """A constant of 8 bits and its index."""
        scale = scale or float(self.generator.uniform(0.02, 0.1))
        zero = int(self.generator.integers(-128, 128)) if zero is None else zero
        index = self.file.constant(
            self.generator.integers(-128, 128, shape), scale=np.float32(scale), zero=zero
        )
        self.scales[index], self.zeros[index] = scale, zero
        return index

    def binary(self, name, other=None, constant=None, first=True, activation=NONE):
        """ADD, SUB, MUL, MAXIMUM or MINIMUM of `last` and another tensor, or a constant."""
        mine = self.shapes[self.last]
        same = (self.scales[self.last], self.zeros[self.last])
        quantity = same if name in ("MAXIMUM", "MINIMUM") else (None, None)
        if constant is not None:
            other, theirs = self.fixed(constant, *(same if quantity == same else ())), constant
        else:
            theirs = self.shapes[other]
        shape = np.broadcast_shapes(mine, theirs)
        if name == "MUL":
            spread = 80 * 80 * self.scales[self.last] * self.scales[other] / 100
            quantity = (float(spread * self.generator.uniform(0.5, 2)), None)
        result = self.made(shape, *quantity)
        operands = [self.last, other] if first else [other, self.last]
        if name in BINARY:
            self.file.operator(
                name, operands, [result], BINARY[name], FusedActivationFunction=activation
            )
        else:
            self.file.operator(name, operands, [result], "MaximumMinimumOptions")
        self.last = result
        return self

    def prelu(self, shape):
        """PRELU with constant slopes."""
        alpha = self.fixed(shape, 0.01)
        result = self.made(self.shapes[self.last])
        self.file.operator("PRELU", [self.last, alpha], [result])
        self.last = result
        return self

    def kept(self, shape):
        """A tensor with the quantity of the last one."""
        return self.made(shape, self.scales[self.last], self.zeros[self.last])

    def moved(self, name, shape, *constants, options=None, **fields):
        """An operator that moves integers; constants: lists of int32."""
        result = self.kept(shape)
        inputs = [self.last, *(self.file.constant(each, "INT32") for each in constants)]
        self.file.operator(name, inputs, [result], options, **fields)
        self.last = result
        return self

    def transpose(self, order):
        """TRANSPOSE."""
        shape = self.shapes[self.last]
        sizes = tuple(shape[axis] for axis in order)
        return self.moved("TRANSPOSE", sizes, order, options="TransposeOptions")

    def resize(self, sizes, align=False, half=False):
        """RESIZE_NEAREST_NEIGHBOR."""
        batch, _, _, channels = self.shapes[self.last]
        return self.moved(
            "RESIZE_NEAREST_NEIGHBOR",
            (batch, *sizes, channels),
            sizes,
            options="ResizeNearestNeighborOptions",
            AlignCorners=align,
            HalfPixelCenters=half,
        )

    def to_depth(self, block):
        """SPACE_TO_DEPTH."""
        batch, height, width, channels = self.shapes[self.last]
        shape = (batch, height // block, width // block, channels * block * block)
        return self.moved("SPACE_TO_DEPTH", shape, options="SpaceToDepthOptions", BlockSize=block)

    def to_space(self, block):
        """DEPTH_TO_SPACE."""
        batch, height, width, channels = self.shapes[self.last]
        shape = (batch, height * block, width * block, channels // block // block)
        return self.moved("DEPTH_TO_SPACE", shape, options="DepthToSpaceOptions", BlockSize=block)

    def pads(self, pairs):
        """PAD of any axes."""
        shape = tuple(
            size + sum(pair) for size, pair in zip(self.shapes[self.last], pairs, strict=True)
        )
        return self.moved("PAD", shape, pairs, options="PadOptions")

    def strided(self, first, last, step, **masks):
        """STRIDED_SLICE with plain bounds."""
        sizes = self.shapes[self.last]
        ranges = [
            range(size)[a:b:c] for size, a, b, c in zip(sizes, first, last, step, strict=True)
        ]
        shape = tuple(map(len, ranges))
        return self.moved(
            "STRIDED_SLICE", shape, first, last, step, options="StridedSliceOptions", **masks
        )

    def slice(self, first, count):
        """SLICE."""
        sizes = self.shapes[self.last]
        shape = tuple(s - a if n == -1 else n for s, a, n in zip(sizes, first, count, strict=True))
        return self.moved("SLICE", shape, first, count, options="SliceOptions")

    def split(self, axis, count):
        """SPLIT into equal parts; the last part is `last`, the others become ends."""
        sizes = list(self.shapes[self.last])
        sizes[axis] //= count
        results = [self.kept(sizes) for _ in range(count)]
        where = self.file.constant(np.int32(axis), "INT32")
        self.file.operator("SPLIT", [where, self.last], results, "SplitOptions", NumSplits=count)
        self.last, self.parts = results[-1], results
        return self

    def concat(self, others, axis):
        """CONCATENATION with other tensors of the same quantity."""
        sizes = list(self.shapes[self.last])
        sizes[axis] += sum(self.shapes[other][axis] for other in others)
        result = self.kept(sizes)
        self.file.operator(
            "CONCATENATION", [self.last, *others], [result], "ConcatenationOptions", Axis=axis
        )
        self.last = result
        return self

    def reduce(self, name, axes, keep=True):
        """MEAN, SUM, REDUCE_MAX or REDUCE_MIN."""
        sizes = self.shapes[self.last]
        inner = {axis % len(sizes) for axis in axes}
        shape = tuple(1 if i in inner else size for i, size in enumerate(sizes))
        if not keep:
            shape = tuple(size for i, size in enumerate(sizes) if i not in inner)
        if name in ("REDUCE_MAX", "REDUCE_MIN"):
            result = self.kept(shape)
        else:
            count = np.prod([sizes[i] for i in inner])
            scale = self.scales[self.last] * (count if name == "SUM" else 1)
            result = self.made(shape, float(scale * self.generator.uniform(0.2, 1.5)))
        index = self.file.constant(list(axes), "INT32")
        self.file.operator(name, [self.last, index], [result], "ReducerOptions", KeepDims=keep)
        self.last = result
        return self

    def log_softmax(self):
        """LOG_SOFTMAX over the last axis, to 1/16 and 127."""
        result = self.made(self.shapes[self.last], 1 / 16, 127)
        self.file.operator("LOG_SOFTMAX", [self.last], [result], "LogSoftmaxOptions")
        self.last = result
        return self

    def transpose_conv(self, outputs, kernel=(3, 3), stride=(2, 2), padding=SAME, bias=True):
        """TRANSPOSE_CONV."""
        batch, height, width, channels = self.shapes[self.last]
        sizes = [
            size * s if padding == SAME else (size - 1) * s + k
            for size, k, s in zip((height, width), kernel, stride, strict=True)
        ]
        result = self.made((batch, *sizes, outputs))
        real = 60 / (60 * 70 * (kernel[0] * kernel[1] * channels) ** 0.5)
        scale = np.full(outputs, real * self.scales[result] / self.scales[self.last], np.float32)
        weights = self.generator.integers(-127, 128, (outputs, *kernel, channels))
        inputs = [
            self.file.constant([batch, *sizes, outputs], "INT32"),
            self.file.constant(weights, scale=scale, axis=0),
            self.last,
        ]
        if bias:
            values = self.generator.normal(0, 4000, outputs).astype(int)
            inputs.append(
                self.file.constant(values, "INT32", np.float32(self.scales[self.last]) * scale)
            )
        self.file.operator(
            "TRANSPOSE_CONV",
            inputs,
            [result],
            "TransposeConvOptions",
            Padding=padding,
            StrideH=stride[0],
            StrideW=stride[1],
        )
        self.last = result
        return self

    def grouped(self, groups, each, kernel=(3, 3), dilated=1, padding=SAME):
        """CONV_2D in groups, dilated."""
        _, height, width, channels = self.shapes[self.last]
        wide = tuple((k - 1) * dilated + 1 for k in kernel)
        outputs = groups * each
        return self.weighted(
            "CONV_2D",
            "Conv2DOptions",
            (outputs, *kernel, channels // groups),
            0,
            kernel[0] * kernel[1] * channels // groups,
            (self.shapes[self.last][0], *_sides((height, width), wide, (1, 1), padding), outputs),
            StrideH=1,
            StrideW=1,
            Padding=padding,
            FusedActivationFunction=NONE,
            DilationHFactor=dilated,
            DilationWFactor=dilated,
        )

    def pack(self):
        """The bytes of the file."""
        return self.file.pack([self.first], [self.last, *self.ends])


assert VALID == 1


def random_graph(draw, seed):
    """A graph of any operators that fit each other, with several outputs and branches.

    draw: called with a list, gives one of its entries.
    """
    sides = (draw([1, 2, 4, 6]), draw([1, 3, 4, 8]))
    batch = draw([1, 1, 1, 2])
    graph = Graph(seed, (batch, *sides, draw([1, 2, 4])), zero=draw([-128, 0, 77, 127]))
    for _ in range(draw([1, 2, 3, 4, 5, 6])):
        steps = [step for step, (fits, _) in STEPS.items() if fits(graph.shapes[graph.last])]
        STEPS[draw(steps)][1](graph, draw)
    others = [index for index in graph.shapes if index not in (graph.first, graph.last)]
    if others and draw([True, False, False]):
        graph.ends = [draw(others)]
    return graph


def _activation(draw):
    return draw([NONE, NONE, RELU, RELU6])


def _binary_constant(graph, draw):
    shape = graph.shapes[graph.last]
    inner = shape[1:]
    own = draw([(), shape[-1:], (1, *inner), (1, *[draw([1, size]) for size in inner])])
    name, first = draw([*BINARY, "MAXIMUM", "MINIMUM"]), draw([True, False])
    graph.binary(name, constant=own, first=first, activation=_activation(draw))


def _alike(graph):
    """The tensors of the last one's shape."""
    shape = graph.shapes[graph.last]
    return [index for index, other in graph.shapes.items() if other == shape]


def _binary(graph, draw):
    other = draw(_alike(graph))
    graph.binary(draw(list(BINARY)), other=other, activation=_activation(draw))


def _prelu(graph, draw):
    shape = graph.shapes[graph.last]
    graph.prelu(draw([shape[-1:], (1,) * (len(shape) - 2) + shape[-1:], shape[1:]]))


def _grouped(graph, draw):
    graph.grouped(graph.shapes[graph.last][3], draw([1, 2]), dilated=draw([1, 2]))


def _transpose_conv(graph, draw):
    stride = (draw([1, 2]), draw([1, 3]))
    graph.transpose_conv(draw([1, 4]), (draw([1, 2, 3]), draw([2, 3])), stride, draw([0, 1]))


def _pool(graph, draw):
    name = draw(["AVERAGE_POOL_2D", "MAX_POOL_2D"])
    graph.pool(name, (draw([1, 2, 3]), draw([1, 3])), (1, draw([1, 2])), SAME)


def _reduce(graph, draw):
    axes = draw([[-1], [1], list(range(1, len(graph.shapes[graph.last])))])
    name = draw(["MEAN", "REDUCE_MAX", "REDUCE_MIN"])
    graph.reduce(name, axes, keep=draw([True, False]) or len(axes) > 1)


def _resize(graph, draw):
    align = draw([True, False])
    graph.resize((draw([1, 3, 7]), draw([2, 5])), align, not align and draw([True, False]))


def _pads(graph, draw):
    inner = graph.shapes[graph.last][1:]
    graph.pads([(0, 0), *[(draw([0, 1]), draw([0, 2])) for _ in inner]])


def _strided(graph, draw):
    batch, *inner = graph.shapes[graph.last]
    ends = [draw([(0, size, 1), (0, size, 2), (size - 1, -size - 1, -1)]) for size in inner]
    graph.strided(*zip((0, batch, 1), *ends, strict=True))


def _slice(graph, draw):
    inner = graph.shapes[graph.last][1:]
    graph.slice([0, *[draw([0, size - 1]) for size in inner]], [-1] * (len(inner) + 1))


def _split(graph, draw):
    graph.split(draw([-1, len(graph.shapes[graph.last]) - 1]), 2)
    graph.ends = graph.parts[:1]


def _concat(graph, draw):
    quantity = graph.scales[graph.last], graph.zeros[graph.last]
    alike = [i for i in _alike(graph) if (graph.scales[i], graph.zeros[i]) == quantity]
    graph.concat([draw(alike) for _ in range(draw([1, 2]))], draw([-1, 1]))


def _transpose(graph, draw):
    rank = len(graph.shapes[graph.last])
    graph.transpose([0, *draw([list(range(1, rank))[::-1], [*range(2, rank), 1]])])


def _reshape(graph, draw):
    batch, *inner = graph.shapes[graph.last]
    graph.reshape(draw([(batch, *inner), (batch, int(np.prod(inner))), (batch, 1, *inner)]))


def _always(shape):
    return True


def _image(shape):
    return len(shape) == 4


def _small(shape):
    return max(shape) < 20


STEPS = {
    "unary": (_always, lambda graph, draw: graph.unary(draw(list(UNARY)))),
    "binary constant": (_always, _binary_constant),
    "binary": (_always, _binary),
    "prelu": (lambda shape: len(shape) > 1, _prelu),
    "conv": (
        _image,
        lambda graph, draw: graph.grouped(1, draw([1, 4]), (draw([1, 2, 3]), draw([1, 3]))),
    ),
    "grouped": (_image, _grouped),
    "transpose_conv": (lambda shape: _image(shape) and _small(shape), _transpose_conv),
    "dense": (
        lambda shape: len(shape) > 1,
        lambda graph, draw: graph.dense(draw([1, 4]), _activation(draw), keep=True),
    ),
    "pool": (_image, _pool),
    "reduce": (lambda shape: len(shape) > 1, _reduce),
    "resize": (_image, _resize),
    "to_depth": (
        lambda shape: _image(shape) and shape[1] % 2 == shape[2] % 2 == 0,
        lambda graph, draw: graph.to_depth(2),
    ),
    "to_space": (
        lambda shape: _image(shape) and shape[3] % 4 == 0,
        lambda graph, draw: graph.to_space(2),
    ),
    "pads": (_small, _pads),
    "strided": (_always, _strided),
    "slice": (_always, _slice),
    "split": (lambda shape: shape[-1] % 2 == 0, _split),
    "concat": (_small, _concat),
    "transpose": (lambda shape: len(shape) > 2, _transpose),
    "softmax": (lambda shape: 1 < len(shape) < 5, lambda graph, draw: graph.softmax()),
    "log_softmax": (lambda shape: 1 < len(shape) < 5, lambda graph, draw: graph.log_softmax()),
    "quantize": (_always, lambda graph, draw: graph.other("QUANTIZE")),
    "relu": (_always, lambda graph, draw: graph.other(draw(["RELU", "RELU6"]))),
    "reshape": (_always, _reshape),
}
"""The steps of a random graph: whether each fits a shape, and what it adds."""
