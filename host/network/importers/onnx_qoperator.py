"""The QOperator format of ONNX: each operator on integers as a real one between quantisers.

QLinearConv(x, x_scale, x_zero, w, ...) becomes DequantizeLinear(x), DequantizeLinear(w), Conv, and
QuantizeLinear to the operator's own output, so all rules of the QDQ format hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dscim.arrays import Array
from dscim.host.network.importers.onnx_file import Graph, Operator


@dataclass(frozen=True)
class Form:
    """A QOperator: the real operator, its quantised inputs, its output, and its bias.

    inputs: the places of (tensor, scale, zero point). output: those of the scale and zero point.
    bias: the place of an int32 bias, which has the product of both scales. axis: of the weights'
    scales.
    """

    kind: str
    inputs: tuple[tuple[int, int, int], ...]
    output: tuple[int, int]
    bias: int | None = None
    axis: int = 0


_TWO = ((0, 1, 2), (3, 4, 5))
FORMS: dict[str, Form] = {
    "QLinearConv": Form("Conv", _TWO, (6, 7), 8),
    "QLinearMatMul": Form("MatMul", _TWO, (6, 7), axis=1),
    "QGemm": Form("Gemm", _TWO, (7, 8), 6, axis=1),
    "QLinearAdd": Form("Add", _TWO, (6, 7)),
    "QLinearMul": Form("Mul", _TWO, (6, 7)),
    "QLinearSigmoid": Form("Sigmoid", ((0, 1, 2),), (3, 4)),
    "QLinearLeakyRelu": Form("LeakyRelu", ((0, 1, 2),), (3, 4)),
    "QLinearSoftmax": Form("Softmax", ((0, 1, 2),), (3, 4)),
    "QLinearAveragePool": Form("AveragePool", ((0, 1, 2),), (3, 4)),
    "QLinearGlobalAveragePool": Form("GlobalAveragePool", ((0, 1, 2),), (3, 4)),
    "QLinearReduceMean": Form("ReduceMean", ((0, 1, 2),), (3, 4)),
}
"""The operators of the format, except QLinearConcat."""


def rewritten(graph: Graph) -> Graph:
    """The graph with every QOperator as a real operator between quantisers."""
    if not any(each.kind in FORMS or each.kind == "QLinearConcat" for each in graph.operators):
        return graph
    operators: list[Operator] = []
    constants: dict[str, Array] = {}
    for operator in graph.operators:
        form = FORMS.get(operator.kind)
        if operator.kind == "QLinearConcat":
            count = (len(operator.inputs) - 2) // 3
            places = tuple((3 * i + 2, 3 * i + 3, 3 * i + 4) for i in range(count))
            form = Form("Concat", places, (0, 1))
        if form is None:
            operators.append(operator)
        else:
            operators += _real(graph, operator, form, constants)
    return replace(graph, operators=tuple(operators), constants=graph.constants.joined(constants))


def _real(
    graph: Graph, operator: Operator, form: Form, constants: dict[str, Array]
) -> list[Operator]:
    """The quantisers and the real operator; constants: receives those of biases."""
    made: list[Operator] = []

    def name(place: int) -> str:
        return operator.inputs[place] if place < len(operator.inputs) else ""

    def add(kind: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        made.append(
            Operator(operator.index, kind, tuple(inputs), (output,), {**attributes}, operator)
        )
        return output

    stem = f"{operator.kind}_{operator.index}"
    reals = [
        add(
            "DequantizeLinear",
            [name(place) for place in places],
            f"{stem}/real{number}",
            axis=0 if operator.attributes.get("transB") else form.axis if number else 1,
        )
        for number, places in enumerate(form.inputs)
    ]
    if form.bias is not None and name(form.bias):
        found = [graph.constants.get(name(places[1])) for places in form.inputs]
        if all(step is not None for step in found):
            first, second = (np.asarray(step, np.float32) for step in found)
            steps = (first * second).ravel()
            constants[f"{stem}/bias_scale"] = steps.reshape(() if steps.size == 1 else -1)
            bias = [name(form.bias), f"{stem}/bias_scale"]
            reals.append(add("DequantizeLinear", bias, f"{stem}/bias", axis=0))
        else:
            reals.append(name(form.bias))
    add(form.kind, reals, f"{stem}/result", **operator.attributes)
    quantiser = [f"{stem}/result", *(name(place) for place in form.output)]
    add("QuantizeLinear", quantiser, operator.outputs[0])
    return made
