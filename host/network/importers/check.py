"""Says of every operator of a file whether it can be imported, without stopping at the first.

An operator whose input is refused is checked with a stand-in of the shape that the file says; where
the file does not say it, the operator waits for those before it.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dscim.errors import UserError
from dscim.gateware.specs import SpecError
from dscim.host.network import Node
from dscim.host.network.importers.importer import DAMAGE, format_of, read_file
from dscim.host.network.importers.scales import Quantity


@dataclass(frozen=True)
class Checked:
    """An operator: its index, its kind, its output, and what becomes of it.

    kinds: of the nodes that compute it; none if it needs none, is refused or waits.
    refused: why, as a sentence; "" if it is not. waits: whether only operators before it are.
    """

    index: int
    kind: str
    output: str
    kinds: tuple[type[Node], ...] = ()
    refused: str = ""
    waits: bool = False


def check_file(path: Path) -> list[Checked]:
    """What becomes of each operator that the file's outputs need, in order.

    UserError if the file cannot be read, or has no input or output that can be imported.
    """
    data = read_file(path)
    try:
        with np.errstate(all="ignore"):
            return _tflite(data) if format_of(path, data) == "tflite" else _onnx(data)
    except (SpecError, *DAMAGE) as error:
        raise UserError(f"'{path}' cannot be checked: {error}.") from error
    except UserError as error:
        raise UserError(f"'{path}' cannot be checked: {error}") from error


def _refusal(act: Callable[[Any, Any], None], importer: Any, operator: Any) -> str:
    """Imports one operator; why it is refused, or "" if it is not."""
    try:
        act(importer, operator)
    except UserError as error:
        return str(error)
    except (SpecError, *DAMAGE) as error:
        return f"it is damaged ({type(error).__name__}: {error})."
    return ""


def _kinds(nodes: Sequence[Node]) -> tuple[type[Node], ...]:
    """The kinds of nodes, each once, in order."""
    return tuple(dict.fromkeys(type(node) for node in nodes))


def _tflite(data: bytes) -> list[Checked]:
    from dscim.host.network.importers import tflite_int8 as tflite  # noqa: PLC0415
    from dscim.host.network.importers.tflite_file import read  # noqa: PLC0415
    from dscim.host.network.importers.tflite_operators import OPERATORS  # noqa: PLC0415
    from dscim.host.network.importers.views import folded  # noqa: PLC0415

    graph = read(data)
    shape = graph.tensors[graph.inputs[0]].shape if graph.inputs else ()
    importer, start = tflite.start_of(graph, shape[0] if len(shape) > 1 else 1)
    results = []
    for operator in tflite.needed(graph, tflite.outputs_of(graph)):
        if operator.index in start:
            continue
        made = graph.tensors[operator.outputs[0]].name if operator.outputs else ""
        needed = [
            index
            for index in operator.inputs
            if index >= 0 and graph.tensors[index].values is None and index not in importer.names
        ]
        if needed and operator.name in OPERATORS and operator.name not in tflite.SHAPED:
            results.append(Checked(operator.index, operator.name, made, waits=True))
            continue
        before = len(importer.draft.nodes)
        why = _refusal(tflite.step, importer, operator)
        kinds = () if why else _kinds(importer.draft.nodes[before:])
        reason = _reason(importer.place(operator), why)
        results.append(Checked(operator.index, operator.name, made, kinds, reason))
        for index in operator.outputs if why else ():
            tensor = graph.tensors[index]
            if tensor.kind in ("INT8", "UINT8") and len(tensor.scale) == 1:
                _stand_in(importer, index, operator, tensor, folded)
    return results


def _stand_in(importer: Any, index: int, operator: Any, tensor: Any, folded: Any) -> None:
    """Sets a tensor without a node for the output of a refused operator of a .tflite file."""
    try:
        shape = folded(importer.dims(operator, tensor))
        quantity = importer.quantity(operator, tensor)
    except UserError:
        return
    name = f"refused_{index}"
    importer.draft.shapes[name], importer.draft.quantities[name] = shape, quantity
    importer.names[index] = name


def _onnx(data: bytes) -> list[Checked]:
    from dscim.host.network.importers import onnx_qdq as onnx  # noqa: PLC0415
    from dscim.host.network.importers.onnx_file import inferred, read  # noqa: PLC0415
    from dscim.host.network.importers.onnx_qoperator import rewritten  # noqa: PLC0415
    from dscim.host.network.importers.onnx_values import Activation, plain_layout  # noqa: PLC0415

    graph = rewritten(read(data))
    importer, shapes = onnx.begun(graph), inferred(data)
    results: dict[int, Checked] = {}
    for operator in onnx.needed(graph):
        file = operator.part_of or operator
        output = file.outputs[0] if file.outputs else ""
        known = {*importer.values, *graph.constants, *(importer.start or ())[:1]}
        if any(name and name not in known for name in _data(operator, onnx.SHAPED)):
            results.setdefault(file.index, Checked(file.index, file.kind, output, waits=True))
            continue
        why = _refusal(onnx.step, importer, operator)
        earlier = results.get(file.index)
        reason = earlier.refused if earlier and earlier.refused else _reason(file.place, why)
        results[file.index] = Checked(file.index, file.kind, output, refused=reason)
        for name in operator.outputs if why else ():
            if shapes.get(name) and importer.draft is not None:
                layout = plain_layout((1, *shapes[name][1:]))
                stand = f"refused_{len(importer.draft.shapes)}"
                importer.draft.shapes[stand] = layout.shape
                importer.draft.quantities[stand] = Quantity(1.0, 0)
                importer.values[name] = Activation(stand, Quantity(1.0, 0), layout, "uint8")
    nodes = importer.draft.nodes if importer.draft else []
    return [
        replace(each, kinds=() if each.refused else _kinds(made))
        for each in results.values()
        if (made := [node for node in nodes if _index(node) == each.index])
        or each.refused
        or each.kind not in QUANTISERS
    ]


QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
"""Operators that are listed only if they have a node of their own, or are refused."""


def _index(node: Node) -> int:
    """The index of the operator that a node of an .onnx file computes, from its name."""
    found = re.match(r"[a-z0-9]+?_(\d+)", node.name)
    return int(found[1]) if found else -1


def _data(operator: Any, shaped: Sequence[str]) -> Sequence[str]:
    """The inputs of an operator without those that are shapes."""
    inputs: Sequence[str] = operator.inputs
    return inputs[:1] if operator.kind in shaped else inputs


def _reason(place: str, why: str) -> str:
    """The error without the operator's place at its beginning."""
    return why.removeprefix(place).lstrip(": ")
