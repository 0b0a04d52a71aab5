"""Which descriptors a device refuses: the twin of the engine's set-up."""

from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import MAX_DEPTH, MacroSpec, SocSpec
from dscim.host.layout import ceil_div, pixel_words

SIZES = ("input_height", "input_width", "input_channels", "outputs", "output_height",
         "output_width", "kernel_height", "kernel_width", "stride_y", "stride_x", "depth")


def refusal(spec: SocSpec, f: dict[str, int]) -> ErrorCode:
    """The code with which a device of `spec` refuses the descriptor's fields `f`, or NONE.

    The checks are made in the order of the codes; the first that fails is reported.
    """
    if f["macro"] >= len(spec.macros):
        return ErrorCode.MACRO
    return (_arithmetic(spec.macros[f["macro"]], f) or _geometry(f) or _memories(spec, f)
            or ErrorCode.NONE)


def _arithmetic(macro: MacroSpec, f: dict[str, int]) -> ErrorCode | None:
    if macro.form == "exact":
        return None
    length = macro.or_width << f["samples_log2"]
    if 1 << f["samples_log2"] > macro.side or (macro.form == "array" and length < macro.lanes):
        return ErrorCode.LENGTH
    mode = "offset" if f["offset"] else "split"
    if mode not in macro.signed or (f["offset"] and f["activation_shift"]):
        return ErrorCode.SIGNED_MODE
    return None


def _geometry(f: dict[str, int]) -> ErrorCode | None:
    window = f["kernel_height"] * f["kernel_width"] * f["input_channels"]
    if any(f[name] == 0 for name in SIZES) or f["depth"] > min(window, MAX_DEPTH):
        return ErrorCode.GEOMETRY
    return None


def _memories(spec: SocSpec, f: dict[str, int]) -> ErrorCode | None:
    inputs = f["input_height"] * f["input_width"] * pixel_words(f["input_channels"])
    outputs = f["output_height"] * f["output_width"] * pixel_words(f["outputs"], bool(f["raw"]))
    weights = f["depth"] * ceil_div(f["outputs"], spec.macro.columns)
    if f["input_base"] + inputs > spec.activation_words:
        return ErrorCode.INPUT_MEMORY
    if f["output_base"] + outputs > spec.activation_words:
        return ErrorCode.OUTPUT_MEMORY
    if f["weight_base"] + weights > spec.weight_rows:
        return ErrorCode.WEIGHT_MEMORY
    if f["parameter_base"] % 8 or f["parameter_base"] + f["outputs"] > spec.channels:
        return ErrorCode.PARAMETER_MEMORY
    return None
