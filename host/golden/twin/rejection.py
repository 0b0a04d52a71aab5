"""The descriptors that a device rejects: the twin of the checks in the engine's set-up."""

from dscim.gateware.descriptor import MAX_KERNEL, MAX_WIDENING, VECTOR, Operation
from dscim.gateware.layout import column_tiles, pixel_words, tensor_rows
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import MacroSpec, SocSpec
from dscim.gateware.specs.soc import WORD_BYTES

SIZES = (
    "input_height",
    "input_width",
    "input_channels",
    "inputs",
    "outputs",
    "output_height",
    "output_width",
    "output_channels",
    "kernel_height",
    "kernel_width",
    "stride_y",
    "stride_x",
    "units",
)
"""The fields that must not be 0; nor must `weight_rows` of a product."""

MAX_UNITS = 4096
"""The most units of a window: 32,768 rows."""

DIAGONAL = (Operation.DEPTHWISE, Operation.CHANNELWISE)

ADD = {
    "kernel_height": 1,
    "kernel_width": 2,
    "stride_y": 1,
    "stride_x": 1,
    "origin_y": 0,
    "origin_x": 0,
}
"""The values of these fields in every add."""


def rejection(spec: SocSpec, f: dict[str, int]) -> ErrorCode:
    """The code with which a device of `spec` rejects the descriptor's fields `f`, or NONE.

    The checks run in the order of the codes; the first that fails decides.
    """
    apart = f["operation"] == Operation.CHANNELWISE
    if f["operation"] not in set(Operation) or (apart and not spec.depthwise) or not _may_add(f):
        return ErrorCode.OPERATION
    if f["operation"] in VECTOR:
        return _vector_geometry(f) or _widening(f) or _activations(spec, f) or ErrorCode.NONE
    if f["macro"] >= (1 if apart else len(spec.macros)):
        return ErrorCode.MACRO
    if apart and 1 << f["samples_log2"] > spec.depthwise_samples:
        return ErrorCode.LENGTH
    return (
        _arithmetic(spec.macros[f["macro"]], f)
        or _product_geometry(spec, f)
        or _widening(f)
        or _activations(spec, f)
        or _products(spec, f)
        or ErrorCode.NONE
    )


def _arithmetic(macro: MacroSpec, f: dict[str, int]) -> ErrorCode | None:
    if macro.form == "exact":
        return None
    length = macro.or_width << f["samples_log2"]
    if 1 << f["samples_log2"] > macro.max_samples or (
        macro.form == "array" and length < macro.lanes
    ):
        return ErrorCode.LENGTH
    mode = "offset" if f["offset"] else "split"
    if mode not in macro.signed or (
        f["offset"] and (f["activation_shift"] or f["operation"] in DIAGONAL)
    ):
        return ErrorCode.SIGNED_MODE
    return None


def _fits(f: dict[str, int]) -> bool:
    """Whether no size is zero and the channels are within a pixel."""
    return (
        all(f[name] for name in SIZES)
        and f["input_plane"] * WORD_BYTES + f["inputs"] <= f["input_channels"]
        and f["output_channel"] + f["outputs"] <= f["output_channels"]
    )


def _product_geometry(spec: SocSpec, f: dict[str, int]) -> ErrorCode | None:
    depthwise, columns = f["operation"] in DIAGONAL, spec.macro.columns
    taps = f["kernel_height"] * f["kernel_width"]
    window = taps if depthwise else taps * pixel_words(f["inputs"])
    if not _fits(f) or not f["weight_rows"] or f["units"] > min(window, MAX_UNITS):
        return ErrorCode.GEOMETRY
    if f["output_channel"] % min(WORD_BYTES, columns):
        return ErrorCode.GEOMETRY
    if depthwise and (f["inputs"] != f["outputs"] or columns < WORD_BYTES):
        return ErrorCode.GEOMETRY
    sides = f["kernel_height"], f["kernel_width"], f["stride_y"]
    if f["operation"] == Operation.CHANNELWISE and (f["units"] != taps or max(sides) > MAX_KERNEL):
        return ErrorCode.GEOMETRY
    return None


def _vector_geometry(f: dict[str, int]) -> ErrorCode | None:
    if not _fits(f) or f["inputs"] != f["outputs"] or f["units"] != 1:
        return ErrorCode.GEOMETRY
    if f["output_channel"] % WORD_BYTES:
        return ErrorCode.GEOMETRY
    if f["operation"] != Operation.ADD:
        return None
    same = all(f[f"input_{side}"] == f[f"output_{side}"] for side in ("height", "width"))
    if not same or any(f[name] != value for name, value in ADD.items()):
        return ErrorCode.GEOMETRY
    return None


def _adds(f: dict[str, int]) -> bool:
    """Whether the descriptor is an add, or a product with a residual."""
    return f["operation"] == Operation.ADD or bool(f["residual"])


def _may_add(f: dict[str, int]) -> bool:
    """False for raw outputs with an addition, and for a residual in an add or pool."""
    return not (f["residual"] and f["operation"] in VECTOR) and not (_adds(f) and f["raw"])


def _widening(f: dict[str, int]) -> ErrorCode | None:
    if _adds(f) and f["left_shift"] + max(0, f["first_shift"], f["second_shift"]) > MAX_WIDENING:
        return ErrorCode.SCALING
    return None


def _activations(spec: SocSpec, f: dict[str, int]) -> ErrorCode | None:
    def size(side: str, raw: bool) -> int:
        shape = f[f"{side}_height"], f[f"{side}_width"], f[f"{side}_channels"]
        return tensor_rows(shape, spec.banks, raw)

    inputs, outputs = size("input", False), size("output", bool(f["raw"]))
    ends = [f["input_base"] + inputs]
    if _adds(f):
        ends.append(f["second_base"] + (inputs if f["operation"] == Operation.ADD else outputs))
    if max(ends) > spec.activation_rows:
        return ErrorCode.INPUT_MEMORY
    if f["output_base"] + outputs > spec.activation_rows:
        return ErrorCode.OUTPUT_MEMORY
    return None


def _products(spec: SocSpec, f: dict[str, int]) -> ErrorCode | None:
    weights = f["weight_rows"] * column_tiles(spec, Operation(f["operation"]), f["outputs"])
    if f["weight_base"] + weights > spec.weight_rows:
        return ErrorCode.WEIGHT_MEMORY
    if f["parameter_base"] + f["outputs"] > spec.channels:
        return ErrorCode.PARAMETER_MEMORY
    return None
