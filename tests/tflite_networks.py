"""Small .tflite files in the shapes of the MLPerf Tiny networks, with random integers.

Scales are such that outputs fill int8; everything else is what a converter writes.
"""

import numpy as np
import tflite

from tests.tflite_files import TfliteFile

NONE, RELU, RELU6 = 0, 1, 3
SAME, VALID = 0, 1


class Chain:
    """A file whose operators follow each other; `last` is the output of the last one."""

    def __init__(self, seed, shape, zero=-128, scale=0.05, kind="INT8"):
        self.file, self.generator = TfliteFile(), np.random.default_rng(seed)
        self.scales, self.zeros, self.shapes = {}, {}, {}
        self.first = self.last = self.made(shape, scale, zero, kind)

    def made(self, shape, scale=None, zero=None, kind="INT8"):
        """A computed tensor; scale and zero point are random by default."""
        scale = scale or float(self.generator.uniform(0.02, 0.1))
        zero = (
            int(self.generator.choice([-128, self.generator.integers(-128, 128)]))
            if zero is None
            else zero
        )
        index = self.file.tensor(shape, kind, np.float32(scale), zero)
        self.scales[index], self.zeros[index], self.shapes[index] = scale, zero, tuple(shape)
        return index

    def weighted(
        self, name, options, shape, axis, depth, out, per_channel=True, bias=True, **fields
    ):
        """A convolution of any kind or a fully connected layer."""
        outputs = shape[axis]
        real = (
            60
            / (60 * 70 * depth**0.5)
            * self.generator.uniform(0.5, 1.5, outputs if per_channel else 1)
        )
        result = self.made(out, zero=0 if fields.get("FusedActivationFunction") == NONE else -128)
        scale = (real * self.scales[result] / self.scales[self.last]).astype(np.float32)
        weights = self.generator.integers(-127, 128, shape)
        inputs = [self.last, self.file.constant(weights, scale=scale, axis=axis)]
        if bias:
            values = self.generator.normal(0, 4000, outputs).astype(int)
            inputs.append(
                self.file.constant(values, "INT32", np.float32(self.scales[self.last]) * scale)
            )
        elif bias is None:
            inputs.append(-1)
        self.file.operator(name, inputs, [result], options, **fields)
        self.last = result
        return self

    def conv(
        self,
        outputs,
        kernel=(3, 3),
        stride=(1, 1),
        padding=SAME,
        activation=RELU,
        dilated=1,
        **more,
    ):
        """CONV_2D."""
        _, height, width, channels = self.shapes[self.last]
        return self.weighted(
            "CONV_2D",
            "Conv2DOptions",
            (outputs, *kernel, channels),
            0,
            kernel[0] * kernel[1] * channels,
            (1, *_sides((height, width), kernel, stride, padding), outputs),
            StrideH=stride[0],
            StrideW=stride[1],
            Padding=padding,
            FusedActivationFunction=activation,
            DilationHFactor=dilated,
            DilationWFactor=dilated,
            **more,
        )

    def depthwise(
        self, each=1, kernel=(3, 3), stride=(1, 1), padding=SAME, activation=RELU, **more
    ):
        """DEPTHWISE_CONV_2D."""
        _, height, width, channels = self.shapes[self.last]
        return self.weighted(
            "DEPTHWISE_CONV_2D",
            "DepthwiseConv2DOptions",
            (1, *kernel, channels * each),
            3,
            kernel[0] * kernel[1],
            (1, *_sides((height, width), kernel, stride, padding), channels * each),
            StrideH=stride[0],
            StrideW=stride[1],
            Padding=padding,
            DepthMultiplier=each,
            FusedActivationFunction=activation,
            DilationHFactor=1,
            DilationWFactor=1,
            **more,
        )

    def dense(self, outputs, activation=NONE, per_channel=False, keep=False, **more):
        """FULLY_CONNECTED; keep: over the channels of each position."""
        shape = self.shapes[self.last]
        depth = shape[-1] if keep else int(np.prod(shape))
        out = (*shape[:-1], outputs) if keep else (1, outputs)
        return self.weighted(
            "FULLY_CONNECTED",
            "FullyConnectedOptions",
            (outputs, depth),
            0,
            depth,
            out,
            per_channel,
            FusedActivationFunction=activation,
            KeepNumDims=keep,
            **more,
        )

    def pool(self, name, kernel, stride=None, padding=VALID, activation=NONE):
        """AVERAGE_POOL_2D or MAX_POOL_2D."""
        batch, height, width, channels = self.shapes[self.last]
        stride = stride or kernel
        result = self.made(
            (batch, *_sides((height, width), kernel, stride, padding), channels),
            self.scales[self.last],
            self.zeros[self.last],
        )
        self.file.operator(
            name,
            [self.last],
            [result],
            "Pool2DOptions",
            Padding=padding,
            FilterHeight=kernel[0],
            FilterWidth=kernel[1],
            StrideH=stride[0],
            StrideW=stride[1],
            FusedActivationFunction=activation,
        )
        self.last = result
        return self

    def mean(self, keep=True):
        """MEAN over height and width."""
        channels = self.shapes[self.last][-1]
        result = self.made((1, 1, 1, channels) if keep else (1, channels))
        axes = self.file.constant([1, 2], "INT32")
        self.file.operator("MEAN", [self.last, axes], [result], "ReducerOptions", KeepDims=keep)
        self.last = result
        return self

    def pad(self, sides):
        """PAD by ((top, bottom), (left, right))."""
        _, height, width, channels = self.shapes[self.last]
        result = self.made(
            (1, height + sum(sides[0]), width + sum(sides[1]), channels),
            self.scales[self.last],
            self.zeros[self.last],
        )
        values = self.file.constant([(0, 0), *sides, (0, 0)], "INT32")
        self.file.operator("PAD", [self.last, values], [result], "PadOptions")
        self.last = result
        return self

    def reshape(self, shape):
        """RESHAPE."""
        result = self.made(shape, self.scales[self.last], self.zeros[self.last])
        values = self.file.constant(shape, "INT32")
        self.file.operator("RESHAPE", [self.last, values], [result], "ReshapeOptions")
        self.last = result
        return self

    def plus(self, other, activation=RELU):
        """ADD of an earlier tensor."""
        result = self.made(self.shapes[other], zero=None if activation == NONE else -128)
        self.file.operator(
            "ADD", [self.last, other], [result], "AddOptions", FusedActivationFunction=activation
        )
        self.last = result
        return self

    def other(self, name, scale=None, zero=None, kind="INT8"):
        """An operator without options: QUANTIZE, RELU, RELU6, DEQUANTIZE."""
        result = self.made(self.shapes[self.last], scale, zero, kind)
        options = {"QUANTIZE": "QuantizeOptions", "DEQUANTIZE": "DequantizeOptions"}.get(name)
        self.file.operator(name, [self.last], [result], options)
        self.last = result
        return self

    def softmax(self):
        """SOFTMAX to 1/256 and -128."""
        result = self.made(self.shapes[self.last], 1 / 256, -128)
        self.file.operator("SOFTMAX", [self.last], [result], "SoftmaxOptions", Beta=1.0)
        self.last = result
        return self

    def pack(self):
        """The bytes of the file."""
        return self.file.pack([self.first], [self.last])


def _sides(sizes, kernel, stride, padding):
    if padding == SAME:
        return tuple(-(-size // s) for size, s in zip(sizes, stride, strict=True))
    return tuple((size - k) // s + 1 for size, k, s in zip(sizes, kernel, stride, strict=True))


def person_detection(seed=0):
    """A small MobileNetV1 0.25: depthwise separable, pooled, a 1x1 classifier, softmax."""
    chain = Chain(seed, (1, 12, 12, 1))
    chain.depthwise(8, stride=(2, 2), activation=RELU6).depthwise(activation=RELU6)
    chain.conv(8, (1, 1), activation=RELU6).depthwise(stride=(2, 2), activation=RELU6)
    chain.conv(16, (1, 1), activation=RELU6).pool("AVERAGE_POOL_2D", (3, 3))
    return chain.conv(2, (1, 1), activation=NONE).reshape((1, 2)).softmax()


def keyword_spotting(seed=0):
    """A small DS-CNN: the input reshaped, a tall kernel, separable layers."""
    chain = Chain(seed, (1, 130), zero=83).reshape((1, 13, 10, 1))
    chain.conv(6, (10, 4), (2, 2)).depthwise().conv(6, (1, 1)).depthwise().conv(6, (1, 1))
    return chain.pool("AVERAGE_POOL_2D", (7, 5)).reshape((1, 6)).dense(5).softmax()


def anomaly(seed=0):
    """The autoencoder: fully connected layers with a ReLU, one of them without a bias."""
    chain = Chain(seed, (1, 640), zero=90, scale=0.3)
    chain.dense(24, RELU).dense(24, RELU, bias=False).dense(8, RELU, per_channel=True, bias=None)
    return chain.dense(24, RELU).dense(640)


def autoencoder(seed=0):
    """The same in full size: 640 inputs, four layers of 128, 8, four of 128, 640 outputs."""
    chain = Chain(seed, (1, 640), zero=90, scale=0.3)
    for outputs in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        chain.dense(outputs, RELU, per_channel=bool(seed % 2))
    return chain.dense(640, per_channel=bool(seed % 2))


def residual(seed=0):
    """A residual block with a convolution on the shortcut and a pool, like ResNet-8."""
    chain = Chain(seed, (1, 8, 8, 3))
    first = chain.conv(4).last
    chain.conv(4).conv(4, activation=NONE).plus(first)
    before = chain.last
    chain.conv(6, stride=(2, 2)).conv(6, activation=NONE)
    deep, chain.last = chain.last, before
    chain.conv(6, (1, 1), (2, 2), activation=NONE).plus(deep)
    return chain.pool("AVERAGE_POOL_2D", (4, 4)).reshape((1, 6)).dense(10).softmax()


def mobile(seed=0):
    """PAD before strided layers, a linear bottleneck, a mean, float input and output."""
    chain = Chain(seed, (1, 9, 9, 3), kind="FLOAT32").other("QUANTIZE", 0.03, -3)
    chain.pad(((0, 1), (0, 1))).conv(6, stride=(2, 2), padding=VALID, activation=RELU6)
    start = chain.last
    chain.conv(12, (1, 1), activation=RELU6).depthwise(activation=RELU6)
    chain.conv(6, (1, 1), activation=NONE, per_channel=False).plus(start, NONE)
    return chain.mean().dense(7, per_channel=True).other("DEQUANTIZE", kind="FLOAT32")


def mixture(seed=0):
    """The rest: maximum, other scales, separate activations, positions kept, uint8 input."""
    chain = Chain(seed, (1, 7, 6, 2), zero=120, kind="UINT8").other("QUANTIZE")
    chain.pool("MAX_POOL_2D", (3, 2), (2, 1), SAME).depthwise(3, (2, 3), (1, 2), activation=NONE)
    chain.other("RELU").other("QUANTIZE").dense(5, RELU, keep=True).other("RELU6")
    chain.pool("AVERAGE_POOL_2D", (3, 3), (2, 2), SAME, RELU).pad(((1, 1), (0, 3)))
    chain.pool("MAX_POOL_2D", (2, 2), activation=RELU6).reshape((1, 1, 4, 5)).mean(False)
    return chain.dense(4).other("QUANTIZE", zero=137, kind="UINT8")


FILES = {
    make.__name__: make
    for make in (person_detection, keyword_spotting, anomaly, residual, mobile, mixture)
}
assert tflite.ActivationFunctionType.RELU6 == RELU6 and tflite.Padding.SAME == SAME


def random_chain(draw, seed):
    """A chain of any operators, kernels, strides, paddings and activations that fit each other.

    draw: called with a list, gives one of its entries.
    """
    sides = (draw([1, 2, 5, 8]), draw([1, 3, 6, 9]))
    chain = Chain(seed, (1, *sides, draw([1, 2, 5])), zero=draw([-128, 0, 77, 127]))
    for _ in range(draw([1, 2, 3, 4, 5])):
        shape = chain.shapes[chain.last]
        kernel = (draw(range(1, min(4, shape[1]) + 1)), draw(range(1, min(4, shape[2]) + 1)))
        stride, padding = (draw([1, 2, 3]), draw([1, 2])), draw([SAME, VALID])
        activation = draw([NONE, RELU, RELU6, 2])
        more = {"per_channel": draw([True, False])}
        step = draw(
            ["conv", "depthwise", "pool", "plus", "dense", "mean", "pad", "alone", "quantize"]
        )
        if step == "conv":
            chain.conv(draw([1, 3, 6]), kernel, stride, padding, activation, **more)
        elif step == "depthwise":
            chain.depthwise(draw([1, 2]), kernel, stride, padding, activation, **more)
        elif step == "pool":
            chain.pool(
                draw(["AVERAGE_POOL_2D", "MAX_POOL_2D"]), kernel, stride, padding, activation
            )
        elif step == "plus":
            chain.plus(
                draw([index for index, other in chain.shapes.items() if other == shape]), activation
            )
        elif step == "dense":
            chain.dense(draw([1, 4]), activation, keep=True, bias=draw([True, False, None]), **more)
        elif step == "mean":
            chain.mean()
        elif step == "pad":
            chain.pad(((draw([0, 1]), draw([0, 2])), (draw([0, 1]), draw([0, 3]))))
        else:
            chain.other(draw(["RELU", "RELU6"]) if step == "alone" else "QUANTIZE")
    shape = chain.shapes[chain.last]
    if draw([True, False]):
        chain.reshape((1, int(np.prod(shape)))).dense(
            draw([1, 3, 10]), per_channel=draw([True, False])
        )
        if draw([True, False]):
            chain.softmax()
    return chain
