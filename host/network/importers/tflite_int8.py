"""TensorFlow Lite INT8: imports a .tflite file as a network with the same integers.

QUANTIZE at the input and DEQUANTIZE at the output are left out: the network takes and gives
integers.
"""

from typing import Any

from dscim.errors import UserError
from dscim.host.network import INPUT
from dscim.host.network.importers.draft import Draft, Entry, File, Imported, Origin, at
from dscim.host.network.importers.joined import join_outputs, said
from dscim.host.network.importers.scales import Quantity
from dscim.host.network.importers.tflite_file import Graph, Operator, read
from dscim.host.network.importers.tflite_importer import TfliteImporter, activation_dims
from dscim.host.network.importers.tflite_operators import OPERATORS
from dscim.host.network.importers.views import folded

SHAPED = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
"""Operators whose other inputs are shapes, not data."""


def import_bytes(data: bytes, name: str, facts: dict[str, Any]) -> Imported:
    """The network in the bytes of a .tflite file.

    The first dimension of the input is a batch of images, if the operators treat it as one.
    """
    graph = read(data)
    batch = graph.tensors[graph.inputs[0]].shape[:1] if graph.inputs else ()
    if batch in ((), (1,)) or len(graph.tensors[graph.inputs[0]].shape) == 1:
        return _imported(graph, 1, name, facts)
    try:
        return _imported(graph, batch[0], name, facts)
    except UserError as error:
        try:
            return _imported(graph, 1, name, facts)
        except UserError:
            raise error from None


def _imported(graph: Graph, batch: int, name: str, facts: dict[str, Any]) -> Imported:
    """The network of a graph whose activations have this batch."""
    importer, start = start_of(graph, batch)
    last = outputs_of(graph)
    operators = needed(graph, last)
    for operator in operators:
        if operator.index not in start:
            step(importer, operator)
    for index in last:
        if index not in importer.names:
            raise UserError(f"no operator computes the output {graph.tensors[index].name!r}.")
    entry = graph.tensors[graph.inputs[0]]
    skip = 1 if batch > 1 else 0
    file = File(
        {"format": "TensorFlow Lite INT8", **facts},
        "litert_optimised" if any(each.name == "SUM" for each in operators) else "litert",
        batch,
        Entry(entry.name, entry.kind.lower(), "hwc", entry.shape[skip:]),
    )
    notes = _notes(graph, last, batch)
    names = [importer.names[index] for index in last]
    output, parts = join_outputs(importer.draft, names)
    if parts:
        file.facts["outputs"] = parts
        notes.append(said([graph.tensors[index].name for index in last], parts))
    return importer.draft.finish(name, output, notes, file)


def step(importer: TfliteImporter, operator: Operator) -> None:
    """Imports one operator; UserError, which names it, if it is not supported."""
    supported = OPERATORS.get(operator.name)
    if supported is None:
        importer.refuse(
            operator,
            "is not supported; rewrite the network without it, or end the file before it (--check "
            "lists all operators of a file)",
        )
    kinds = {
        importer.graph.tensors[i].kind for i in (*operator.inputs, *operator.outputs) if i >= 0
    }
    if "UINT8" in kinds and not supported.unsigned:
        importer.refuse(
            operator,
            "computes with uint8, whose kernel rounds otherwise than that of int8; convert with "
            "int8 activations",
        )
    supported.handle(importer, operator)


def start_of(graph: Graph, batch: int) -> tuple[TfliteImporter, set[int]]:
    """An importer at the network's input, and the operators that quantise the input."""
    if len(graph.inputs) != 1 or graph.inputs[0] < 0:
        names = ", ".join(repr(graph.tensors[index].name) for index in graph.inputs if index >= 0)
        raise UserError(
            f"it has {len(graph.inputs)} inputs ({names}); a network has 1: cut the file, or join "
            "the inputs before it."
        )
    index = graph.inputs[0]
    tensor, quantisers = graph.tensors[index], set()
    aliases = [index]
    if tensor.kind == "FLOAT32":
        readers = [operator for operator in graph.operators if index in operator.inputs]
        if not readers or any(operator.name != "QUANTIZE" for operator in readers):
            raise UserError(
                f"its input {tensor.name!r} is FLOAT32 and not quantised; convert "
                "the network to full-integer INT8."
            )
        quantisers = {operator.index for operator in readers}
        aliases = [made for operator in readers for made in operator.outputs]
        tensor = graph.tensors[aliases[0]]
    place = f"the input {tensor.name!r}"
    kinds = {
        (graph.tensors[i].kind, graph.tensors[i].scale.tobytes(), graph.tensors[i].zero.tobytes())
        for i in aliases
    }
    if tensor.kind not in ("INT8", "UINT8") or len(tensor.scale) != 1 or len(kinds) != 1:
        more = " (16 bits do not fit the macro)" if tensor.kind == "INT16" else ""
        raise UserError(
            f"{place} is {tensor.kind}{more} with {len(tensor.scale)} scales; convert the "
            "network to full-integer INT8."
        )
    zero = int(tensor.zero[0]) - (128 if tensor.kind == "UINT8" else 0)
    quantity = at(place, lambda: Quantity(float(tensor.scale[0]), zero))
    shape = folded(activation_dims(place, tensor, batch))
    draft = Draft(shape, quantity, Origin(tensor.name, aliases[0]))
    importer = TfliteImporter(graph, draft, batch)
    importer.names = dict.fromkeys(aliases, INPUT)
    return importer, quantisers


def outputs_of(graph: Graph) -> list[int]:
    """The indices of the network's outputs, before any DEQUANTIZE at the end."""
    if not graph.outputs or min(graph.outputs) < 0:
        raise UserError(f"it has {len(graph.outputs)} outputs; a network has at least 1.")
    made = {
        operator.outputs[0]: operator.inputs[0]
        for operator in graph.operators
        if operator.name == "DEQUANTIZE" and operator.inputs and operator.outputs
    }
    return list(dict.fromkeys(made.get(index, index) for index in graph.outputs))


def needed(graph: Graph, last: list[int]) -> list[Operator]:
    """The operators that `last` depend on, in order, without those that compute shapes."""
    found, wanted = [], set(last)
    for operator in reversed(graph.operators):
        if wanted.intersection(operator.outputs):
            found.append(operator)
            wanted |= set(operator.inputs[:1] if operator.name in SHAPED else operator.inputs)
    return found[::-1]


def _notes(graph: Graph, last: list[int], batch: int) -> list[str]:
    """Notes for the user on the types of input and output, and on the batch."""
    notes = []
    source = graph.tensors[graph.inputs[0]]
    if source.kind == "FLOAT32":
        notes.append("The file takes float32; the network takes it quantised to int8.")
    if "UINT8" in (source.kind, *(graph.tensors[index].kind for index in last)):
        notes.append("Tensors of uint8 become int8: each value minus 128.")
    if any(graph.tensors[index].kind == "FLOAT32" for index in graph.outputs):
        notes.append("The file gives float32; the network gives int8, before the dequantisation.")
    if batch > 1:
        notes.append(f"The file takes {batch} images at once; the network takes them one by one.")
    return notes
