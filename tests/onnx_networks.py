"""Small ONNX QDQ files made by hand: graphs of real operators between quantisers.

chain = Qdq(seed, (1, 3, 8, 8)).conv(8).relu().quantised()
data = chain.pack()
"""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

KINDS = {np.int8: TensorProto.INT8, np.uint8: TensorProto.UINT8}


class Qdq:
    """A graph whose operators follow each other; `last` is the tensor in real numbers.

    kind: the type of activations, np.uint8 or np.int8. With uint8, weights have 7 bits: without
    VNNI, onnxruntime's kernels of x86 saturate sums of two products at 16 bits.
    """

    def __init__(self, seed, shape, kind=np.uint8, nhwc=False, open_batch=False):
        self.generator, self.kind = np.random.default_rng(seed), kind
        self.most = 63 if kind is np.uint8 else 127
        self.nodes, self.constants, self.scales, self.shapes = [], [], {}, {"x": shape}
        self.quantisers, self.last, self.nhwc = [], "x", nhwc
        self.first = helper.make_tensor_value_info(
            "x", TensorProto.FLOAT, ["N" if open_batch else 1, *shape[1:]]
        )
        self.quantised(0.04, 120)

    def constant(self, values, dtype=None):
        """Adds an initializer and returns its name."""
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def node(self, kind, *inputs, shape=None, **attributes):
        """Adds an operator on `last`, or on `inputs`; its output is `last` from now on."""
        inputs = inputs or (self.last,)
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        self.shapes[name] = shape or self.shapes[inputs[0]]
        self.last = name
        return self

    def quantised(self, scale=None, zero=None):
        """A QuantizeLinear and a DequantizeLinear; `zero` as for uint8."""
        scale = np.float32(scale or self.generator.uniform(0.02, 0.06))
        zero = int(self.generator.integers(90, 160)) if zero is None else zero
        zero = np.array(zero - (0 if self.kind is np.uint8 else 128), self.kind)
        parameters = self.constant(scale), self.constant(zero)
        self.node("QuantizeLinear", self.last, *parameters)
        self.quantisers.append(self.last)
        self.node("DequantizeLinear", self.last, *parameters)
        self.scales[self.last] = (float(scale), int(zero))
        return self

    def again(self):
        """Quantised with the scale and zero point of the last quantiser."""
        scale, zero = next(self.scales[name] for name in reversed(self.scales))
        return self.quantised(scale, zero + (0 if self.kind is np.uint8 else 128))

    def weights(self, shape, depth, axis, per_channel=True):
        """Quantised weights, in real numbers, with which outputs stay about 1."""
        outputs = shape[axis] if per_channel else 1
        spread = self.generator.uniform(0.9, 2.7, outputs)
        scale = (spread / self.most / depth**0.5).astype(np.float32)
        integers = self.generator.integers(-self.most, self.most + 1, shape).astype(np.int8)
        name = f"w{len(self.nodes)}"
        more = {"axis": axis} if per_channel else {}
        zero = np.zeros(outputs if per_channel else (), np.int8)
        self.nodes.append(
            helper.make_node(
                "DequantizeLinear",
                [
                    self.constant(integers),
                    self.constant(scale if per_channel else scale[0]),
                    self.constant(zero),
                ],
                [name],
                **more,
            )
        )
        return name, scale

    def bias(self, scale, outputs):
        """A quantised bias of int32."""
        given = self.scales[self.last][0]
        steps = np.broadcast_to(np.float32(given) * scale, (outputs,)).astype(np.float32)
        integers = np.rint(self.generator.normal(0, 0.5, outputs) / steps).astype(np.int32)
        name = f"b{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(
                "DequantizeLinear",
                [
                    self.constant(integers),
                    self.constant(steps),
                    self.constant(np.zeros(outputs, np.int32)),
                ],
                [name],
                axis=0,
            )
        )
        return name

    def conv(
        self,
        outputs,
        kernel=(3, 3),
        group=1,
        per_channel=True,
        bias=True,
        strides=(1, 1),
        pads=(1, 1, 1, 1),
        **attributes,
    ):
        """Conv with quantised weights."""
        batch, channels, height, width = self.shapes[self.last]
        held = channels // group
        name, scale = self.weights(
            (outputs, held, *kernel), held * kernel[0] * kernel[1], 0, per_channel
        )
        inputs = [self.last, name] + ([self.bias(scale, outputs)] if bias else [])
        sides = [
            (size + pads[i] + pads[i + 2] - kernel[i]) // strides[i] + 1
            for i, size in enumerate((height, width))
        ]
        if "auto_pad" not in attributes:
            attributes["pads"] = list(pads)
        return self.node(
            "Conv",
            *inputs,
            shape=(batch, outputs, *sides),
            group=group,
            strides=list(strides),
            **attributes,
        )

    def depthwise(self, each=1, **more):
        """Conv with one group per channel."""
        channels = self.shapes[self.last][1]
        return self.conv(channels * each, group=channels, **more)

    def dense(self, outputs, turned=True, per_channel=True):
        """Gemm with quantised weights and bias."""
        depth = int(np.prod(self.shapes[self.last][1:]))
        shape = (outputs, depth) if turned else (depth, outputs)
        name, scale = self.weights(shape, depth, 0 if turned else 1, per_channel)
        return self.node(
            "Gemm",
            self.last,
            name,
            self.bias(scale, outputs),
            shape=(1, outputs),
            transB=int(turned),
        )

    def relu(self):
        """Relu."""
        return self.node("Relu")

    def relu6(self):
        """Clip to 0..6."""
        return self.node(
            "Clip", self.last, self.constant(np.float32(0)), self.constant(np.float32(6))
        )

    def normalised(self):
        """BatchNormalization, some of its gains negative."""
        channels = self.shapes[self.last][1]
        draw = self.generator
        values = [
            draw.uniform(-1.5, 1.5, channels),
            draw.normal(0, 1, channels),
            draw.normal(0, 1, channels),
            draw.uniform(0.5, 2, channels),
        ]
        names = [self.constant(value.astype(np.float32)) for value in values]
        return self.node("BatchNormalization", self.last, *names, epsilon=1e-3)

    def plus(self, other):
        """Add."""
        return self.node("Add", self.last, other)

    def pack(self):
        """The bytes of the file."""
        last = helper.make_tensor_value_info(
            self.last, TensorProto.FLOAT, [None] * len(self.shapes[self.last])
        )
        graph = helper.make_graph(self.nodes, "test", [self.first], [last], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version = 9
        onnx.checker.check_model(model)
        return model.SerializeToString()


def separable(seed=0, kind=np.uint8):
    """A small depthwise-separable network with a residual, like MobileNet's blocks."""
    chain = Qdq(seed, (1, 3, 12, 12), kind).conv(8, strides=(2, 2)).relu6().quantised(0.03, 0)
    chain.depthwise().relu6().quantised(0.03, 0).conv(8, (1, 1), pads=(0,) * 4).quantised()
    start = chain.last
    chain.conv(16, (1, 1), pads=(0,) * 4).relu6().quantised(0.025, 0)
    chain.depthwise().relu6().quantised(0.025, 0)
    chain.conv(8, (1, 1), pads=(0,) * 4, per_channel=False).quantised().plus(start).quantised()
    chain.depthwise(2, strides=(2, 2)).relu().quantised(0.03, 0)
    chain.node("GlobalAveragePool", shape=(1, 16, 1, 1)).quantised()
    chain.node("Flatten", shape=(1, 16)).again()
    return chain.dense(10).quantised()


def convolutional(seed=0, kind=np.int8):
    """Pools, batch normalisation, a flatten in C, H, W order, a bias as an Add, softmax."""
    chain = Qdq(seed, (1, 2, 9, 8), kind).conv(6, bias=False).normalised().relu().quantised()
    chain.node("MaxPool", shape=(1, 6, 4, 4), kernel_shape=[3, 2], strides=[2, 2]).again()
    chain.conv(5, (2, 3), auto_pad="SAME_UPPER", pads=(0, 1, 1, 1)).quantised().relu().quantised()
    chain.node("AveragePool", shape=(1, 5, 3, 2), kernel_shape=[2, 3]).again()
    chain.node("Reshape", chain.last, chain.constant([0, -1], np.int64), shape=(1, 30)).again()
    weights, _ = chain.weights((30, 12), 30, 1)
    chain.node("MatMul", chain.last, weights, shape=(1, 12))
    chain.node("Add", chain.last, chain.constant(chain.generator.normal(0, 1, 12), np.float32))
    chain.relu().quantised().dense(7, turned=False, per_channel=False).quantised()
    return chain.node("Softmax", axis=-1).quantised(1 / 256, 0)


def channels_last(seed=0, kind=np.uint8):
    """A network whose input is N, H, W, C, with Pad operators and a mean."""
    chain = Qdq(seed, (1, 7, 6, 3), kind, open_batch=True)
    chain.node("Transpose", shape=(1, 3, 7, 6), perm=[0, 3, 1, 2])
    chain.scales[chain.last] = chain.scales[next(iter(chain.scales))]
    pads = chain.constant([0, 0, 1, 0, 0, 0, 0, 1], np.int64)
    chain.node("Pad", chain.last, pads, shape=(1, 3, 8, 7)).again()
    chain.conv(6, pads=(0,) * 4, strides=(2, 2)).relu().quantised()
    chain.node("ReduceMean", shape=(1, 6), axes=[2, 3], keepdims=0).quantised()
    return chain.dense(4).quantised()


def integer_ends(chain):
    """The file without its first quantiser and last dequantiser: integer input and output."""
    model = onnx.ModelProto.FromString(chain.pack())
    graph, first = model.graph, model.graph.node[0]
    graph.input[0].name = first.output[0]
    graph.input[0].type.tensor_type.elem_type = KINDS[chain.kind]
    graph.output[0].name = chain.quantisers[-1]
    graph.output[0].type.tensor_type.elem_type = KINDS[chain.kind]
    del graph.node[0], graph.node[-1]
    onnx.checker.check_model(model)
    return model.SerializeToString()


FILES = {make.__name__: make for make in (separable, convolutional, channels_last)}
