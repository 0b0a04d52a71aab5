"""A trained plain network as files for other programs: torch.export and ONNX."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dscim.errors import UserError
from dscim.files import save_bytes
from dscim.host.research.prune.operations import Kind, Operation, operations
from dscim.host.research.prune.plain import PlainNet

OPSET, IR_VERSION = 13, 8
"""Versions of ONNX that are old enough for all current readers."""

CLIPS = {"relu": "Relu", "relu6": "Clip"}


def save_torch(net: PlainNet, path: Path) -> None:
    """Writes an exported program, `torch.export.load(path).module()`: (N, C, H, W) -> logits."""
    height, width, channels = net.space.image
    batch = torch.export.Dim("batch")
    program = torch.export.export(
        net.eval(), (torch.zeros(2, channels, height, width),), dynamic_shapes=({0: batch},)
    )
    data = io.BytesIO()
    torch.export.save(program, data)
    save_bytes(path, data.getvalue())


def save_onnx(net: PlainNet, path: Path) -> None:
    """Writes the float network with batch norms as nodes: input (N, C, H, W), output (N, classes).

    UserError without the package onnx.
    """
    try:
        import onnx  # noqa: PLC0415
        from onnx import helper, numpy_helper  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            "an ONNX file needs onnx: install it with `pip install dscim[import]`."
        ) from error
    height, width, channels = net.space.image
    arrays = {name: value.detach().numpy() for name, value in _arrays(net)}
    nodes = [
        helper.make_node(kind, inputs, [output], **attributes)
        for kind, inputs, output, attributes in _nodes(net)
    ]
    real = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "pruned",
        [helper.make_tensor_value_info("input", real, ["N", channels, height, width])],
        [helper.make_tensor_value_info("output", real, ["N", net.space.classes])],
        [numpy_helper.from_array(value, name) for name, value in arrays.items()],
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    onnx.checker.check_model(model)
    save_bytes(path, model.SerializeToString())


def _arrays(net: PlainNet) -> Iterator[tuple[str, Tensor]]:
    """The constants of the file by name."""
    for each in operations(net.space, net.structure):
        if each.kind is Kind.CONVOLUTION:
            site = net.sites[each.name.replace(".", "_")]
            yield f"{each.name}.weight", site.conv.weight
            for name in ("weight", "bias", "running_mean", "running_var"):
                yield f"{each.name}.norm.{name}", getattr(site.norm, name)
    yield "classifier.weight", net.classifier.weight
    yield "classifier.bias", net.classifier.bias
    if any(site.activation == "relu6" for site in net.space.sites()):
        yield from (("low", torch.tensor(0.0)), ("high", torch.tensor(6.0)))


Node = tuple[str, list[str], str, dict[str, Any]]
"""Operator, names of inputs and output, attributes."""


def _nodes(net: PlainNet) -> Iterator[Node]:
    """Every node of the graph, in order."""
    for each in operations(net.space, net.structure):
        inner = f"{each.name}.sum" if each.activation else each.name
        if each.kind is Kind.CONVOLUTION:
            yield from _convolution(net, each, inner)
        elif each.kind is Kind.ADD:
            yield "Add", list(each.inputs), inner, {}
        elif each.kind is Kind.MAX_POOL:
            yield "MaxPool", list(each.inputs), inner, _window(each)
        elif each.kind is Kind.MEAN:
            yield "GlobalAveragePool", list(each.inputs), "mean.picture", {}
            yield "Flatten", ["mean.picture"], "mean", {}
        else:
            yield (
                "Gemm",
                ["mean", "classifier.weight", "classifier.bias"],
                "output",
                {"transB": 1},
            )
        if each.activation:
            bounds = ["low", "high"] if each.activation == "relu6" else []
            yield CLIPS[each.activation], [inner, *bounds], each.name, {}


def _convolution(net: PlainNet, each: Operation, made: str) -> Iterator[Node]:
    """A convolution and its batch norm."""
    norm = net.sites[each.name.replace(".", "_")].norm
    groups = each.layer.outputs if each.layer.depthwise else 1
    yield (
        "Conv",
        [each.inputs[0], f"{each.name}.weight"],
        f"{each.name}.product",
        _window(each) | {"group": groups},
    )
    yield (
        "BatchNormalization",
        [
            f"{each.name}.product",
            *(
                f"{each.name}.norm.{name}"
                for name in ("weight", "bias", "running_mean", "running_var")
            ),
        ],
        made,
        {"epsilon": norm.eps},
    )


def _window(each: Operation) -> dict[str, Any]:
    """Kernel, strides and padding as ONNX attributes."""
    (top, bottom), (left, right) = each.layer.padding
    return {
        "kernel_shape": list(each.layer.kernel),
        "strides": list(each.layer.stride),
        "pads": [top, left, bottom, right],
    }
