"""TensorFlow Lite INT8: imports a .tflite file as a network with the same integers.

QUANTIZE at the input and DEQUANTIZE at the output are left out: the network takes and gives
integers.
"""

from dscim.errors import UserError
from dscim.host.network import INPUT
from dscim.host.network.importers.draft import Draft, Imported, at
from dscim.host.network.importers.scales import Quantity
from dscim.host.network.importers.tflite_file import Graph, Operator, read
from dscim.host.network.importers.tflite_importer import TfliteImporter, image_shape
from dscim.host.network.importers.tflite_operators import OPERATORS

SHAPED = ("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
"""Operators whose other inputs are shapes, not data."""

HINTS = {
    "TRANSPOSE_CONV": "replace it with an upsampling outside the network",
    "CONCATENATION": "join the branches with an ADD",
    "MUL": "fold it into the weights before it",
    "SUB": "fold it into a bias",
    "LOGISTIC": "end the network before it",
    "HARD_SWISH": "train with RELU6 in its place",
    "LEAKY_RELU": "train with RELU in its place",
    "PRELU": "train with RELU in its place",
}
"""Hints on what to do about some unsupported operators."""


def import_bytes(data: bytes, name: str, file: dict[str, str]) -> Imported:
    """The network in the bytes of a .tflite file."""
    graph = read(data)
    importer, start = _start(graph)
    last = _last(graph)
    for operator in _needed(graph, last):
        if operator.index in start:
            continue
        handle = OPERATORS.get(operator.name)
        if handle is None:
            hint = HINTS.get(operator.name, "rewrite the network without it")
            importer.refuse(
                operator,
                f"is not supported; {hint}, or end the file before it (supported are "
                f"{', '.join(OPERATORS)})",
            )
        handle(importer, operator)
    if last not in importer.names:
        raise UserError(f"no operator computes the output {graph.tensors[last].name!r}.")
    return importer.draft.finish(
        name, importer.names[last], _notes(graph, last), {"format": "TensorFlow Lite INT8", **file}
    )


def _start(graph: Graph) -> tuple[TfliteImporter, set[int]]:
    """An importer at the network's input, and the operators that quantise the input."""
    if len(graph.inputs) != 1 or graph.inputs[0] < 0:
        raise UserError(f"it has {len(graph.inputs)} inputs; a network has 1.")
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
        raise UserError(
            f"{place} is {tensor.kind} with {len(tensor.scale)} scales; convert the "
            "network to full-integer INT8."
        )
    zero = int(tensor.zero[0]) - (128 if tensor.kind == "UINT8" else 0)
    quantity = at(place, lambda: Quantity(float(tensor.scale[0]), zero))
    batch = tensor.shape[0] if tensor.shape else 1
    draft = Draft(image_shape(place, tensor, batch), quantity, tensor.name)
    importer = TfliteImporter(graph, draft, batch)
    importer.names = dict.fromkeys(aliases, INPUT)
    return importer, quantisers


def _last(graph: Graph) -> int:
    """The index of the network's output, before any DEQUANTIZE at the end."""
    if len(graph.outputs) != 1 or graph.outputs[0] < 0:
        raise UserError(f"it has {len(graph.outputs)} outputs; a network has 1.")
    index = graph.outputs[0]
    for operator in reversed(graph.operators):
        if operator.name == "DEQUANTIZE" and operator.outputs == (index,):
            index = operator.inputs[0]
    return index


def _needed(graph: Graph, last: int) -> list[Operator]:
    """The operators that `last` depends on, in order, without those that compute shapes."""
    needed, wanted = [], {last}
    for operator in reversed(graph.operators):
        if wanted.intersection(operator.outputs):
            needed.append(operator)
            wanted |= set(operator.inputs[:1] if operator.name in SHAPED else operator.inputs)
    return needed[::-1]


def _notes(graph: Graph, last: int) -> list[str]:
    """Notes for the user on the types of input and output."""
    notes = []
    source, made = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    if source.kind == "FLOAT32":
        notes.append("The file takes float32; the network takes it quantised to int8.")
    if "UINT8" in (source.kind, graph.tensors[last].kind):
        notes.append("Tensors of uint8 become int8: each value minus 128.")
    if made.kind == "FLOAT32":
        notes.append("The file gives float32; the network gives int8, before the dequantisation.")
    return notes
