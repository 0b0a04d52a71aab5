"""Small .tflite files of every operator that can be imported: one by one, or in random graphs.

graph = Graph(seed, (1, 8, 8, 3)).unary("HARD_SWISH").binary("MUL", constant=(3,))
data = graph.pack()
"""

import numpy as np

from tests.tflite_networks import NONE, SAME, VALID, Chain, _sides

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
        self.file_shapes = getattr(self, "file_shapes", {})
        return index

    def binary(self, name, other=None, constant=None, first=True, activation=NONE):
        """ADD, SUB, MUL, MAXIMUM or MINIMUM of `last` and another tensor, or a constant."""
        mine = self.shapes[self.last]
        same = (self.scales[self.last], self.zeros[self.last])
        if name in ("MAXIMUM", "MINIMUM"):
            quantity = same
        else:
            quantity = (None, None)
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
        return self.moved(
            "SPACE_TO_DEPTH", shape, options="SpaceToDepthOptions", BlockSize=block
        )

    def to_space(self, block):
        """DEPTH_TO_SPACE."""
        batch, height, width, channels = self.shapes[self.last]
        shape = (batch, height * block, width * block, channels // block // block)
        return self.moved(
            "DEPTH_TO_SPACE", shape, options="DepthToSpaceOptions", BlockSize=block
        )

    def pads(self, pairs):
        """PAD of any axes."""
        shape = tuple(size + sum(pair) for size, pair in zip(self.shapes[self.last], pairs))
        return self.moved("PAD", shape, pairs, options="PadOptions")

    def strided(self, first, last, step, **masks):
        """STRIDED_SLICE with plain bounds."""
        sizes = self.shapes[self.last]
        ranges = [range(size)[a:b:c] for size, a, b, c in zip(sizes, first, last, step)]
        shape = tuple(map(len, ranges))
        return self.moved(
            "STRIDED_SLICE", shape, first, last, step, options="StridedSliceOptions", **masks
        )

    def slice(self, first, count):
        """SLICE."""
        sizes = self.shapes[self.last]
        shape = tuple(s - a if n == -1 else n for s, a, n in zip(sizes, first, count))
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

    def softmax(self):
        """SOFTMAX over the last axis, to 1/256 and -128."""
        return super().softmax()

    def transpose_conv(self, outputs, kernel=(3, 3), stride=(2, 2), padding=SAME, bias=True):
        """TRANSPOSE_CONV."""
        batch, height, width, channels = self.shapes[self.last]
        sizes = [
            size * s if padding == SAME else (size - 1) * s + k
            for size, k, s in zip((height, width), kernel, stride)
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
