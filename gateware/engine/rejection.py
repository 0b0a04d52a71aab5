"""Which descriptors are rejected, and the code (twin: `dscim.host.golden.twin.rejection`)."""

from functools import reduce
from operator import or_

from migen import Array, Mux, Signal, log2_int

from dscim.gateware.descriptor import MAX_WIDENING, Operation
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import MAX_DEPTH, SocSpec

NONZERO = (
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
    "depth",
)


def rejection(module, spec: SocSpec, place, fields, plan):
    """The lowest code of all failed checks, valid a cycle after its inputs.

    module: the logic is added to it. place: of the descriptor. fields, plan: those of `Setup`.
    """
    length, signed = _arithmetic(spec, fields)
    vector, product = plan.vector, ~plan.vector
    added = plan.add | fields.residual
    second_words = Mux(plan.add, plan.input_words, plan.output_words)
    input_end, second_end, output_end, weight_end, parameter_end = (
        _sum(module, base, size)
        for base, size in (
            (fields.input_base, plan.input_words),
            (fields.second_base, second_words),
            (fields.output_base, plan.output_words),
            (fields.weight_base, plan.weight_rows),
            (fields.parameter_base, fields.outputs),
        )
    )
    tail = fields.parameter_base[:3] != fields.output_channel[:3]
    faults = {
        ErrorCode.DESCRIPTOR: place >= spec.descriptors,
        ErrorCode.OPERATION: (fields.operation > max(Operation))
        | (fields.residual & vector)
        | (added & fields.raw),
        ErrorCode.MACRO: product & (fields.macro >= len(spec.macros)),
        ErrorCode.LENGTH: product & length,
        ErrorCode.SIGNED_MODE: product & signed,
        ErrorCode.GEOMETRY: _sizes(module, fields)
        | Mux(vector, _vector_geometry(fields, plan), _product_geometry(spec, fields, plan))
        | _windows_geometry(module, spec, fields, plan),
        ErrorCode.SCALING: added & _widening(module, fields),
        ErrorCode.INPUT_MEMORY: (input_end > spec.activation_words)
        | (added & (second_end > spec.activation_words)),
        ErrorCode.OUTPUT_MEMORY: output_end > spec.activation_words,
        ErrorCode.WEIGHT_MEMORY: product & (weight_end > spec.weight_rows),
        ErrorCode.PARAMETER_MEMORY: product & (tail | (parameter_end > spec.channels)),
    }
    code = ErrorCode.NONE.value
    for error, fault in reversed(faults.items()):
        held = Signal(name=f"refused_{error.name.lower()}")
        module.sync += held.eq(fault)
        code = Mux(held, error.value, code)
    return code


def _any(faults):
    return reduce(or_, faults)


def _sum(module, a, b):
    """a + b with its carry, which Verilog would drop in a comparison of the plain sum."""
    total = Signal(max(len(a), len(b)) + 1)
    module.comb += total.eq(a + b)
    return total


def _sizes(module, f):
    """A size is zero, or the channels exceed those of a pixel."""
    return (
        _any([getattr(f, name) == 0 for name in NONZERO])
        | (_sum(module, f.input_channel, f.inputs) > f.input_channels)
        | (_sum(module, f.output_channel, f.outputs) > f.output_channels)
    )


def _product_geometry(spec: SocSpec, f, plan):
    """The window is too deep, or depthwise and not one row tile."""
    one_tile = (f.depth == plan.window) & (f.depth <= spec.macro.rows)
    deeper = (f.depth > plan.window) & (f.windows_log2 == 0)
    return deeper | (f.depth > MAX_DEPTH) | ((f.operation == Operation.DEPTHWISE) & ~one_tile)


def _windows_geometry(module, spec: SocSpec, f, plan):
    """Several pixels' windows are not one row tile, or not a plain product in `split`, or a row has
    too many pixels."""
    group = spec.macro.or_width
    whole, rows = Signal(len(plan.window) + 1), Signal(len(plan.window) + 9)
    columns = Signal(len(f.output_width) + 3)
    module.comb += [
        whole.eq((plan.window + group - 1) & ~(group - 1)),
        rows.eq((whole << f.windows_log2) - whole + plan.window),
        columns.eq(f.output_width << f.windows_log2),
    ]
    wrong = (
        (f.operation != Operation.PRODUCT)
        | f.offset
        | (f.depth != rows)
        | (rows > spec.macro.rows)
        | (columns[len(f.output_width) :] != 0)
    )
    return (f.windows_log2 != 0) & wrong


def _vector_geometry(f, plan):
    """Not whole words, or an add that is not elementwise."""
    words = (f.input_channel[:3] != 0) | (f.output_channel[:3] != 0)
    same = (f.input_height == f.output_height) & (f.input_width == f.output_width)
    still = (
        (f.kernel_height == 1)
        & (f.kernel_width == 2)
        & (f.stride_y == 1)
        & (f.stride_x == 1)
        & (f.origin_y == 0)
        & (f.origin_x == 0)
    )
    return words | (f.inputs != f.outputs) | (f.depth != 1) | (plan.add & ~(same & still))


def _widening(module, f):
    """An input of an add exceeds 32 bits."""
    faults = []
    for shift in (f.first_shift, f.second_shift):
        total = Signal((8, True))
        module.comb += total.eq(Mux(shift > 0, shift, 0) + f.left_shift)
        faults.append(total > MAX_WIDENING)
    return _any(faults)


def _arithmetic(spec: SocSpec, fields):
    """(length not allowed, signed mode not supported) for the macro that the descriptor names."""
    lengths, modes = [], []
    depthwise = fields.operation == Operation.DEPTHWISE
    for macro in spec.macros:
        if macro.form == "exact":
            lengths.append(0)
            modes.append(0)
            continue
        least = log2_int(macro.lanes) - log2_int(macro.or_width) if macro.form == "array" else 0
        short = fields.samples_log2 < least if least > 0 else 0
        lengths.append((fields.samples_log2 > log2_int(macro.max_samples)) | short)
        missing = {"offset": fields.offset, "split": fields.offset == 0}
        unbuilt = [missing[mode] for mode in missing if mode not in macro.signed]
        wrong = fields.offset & ((fields.activation_shift != 0) | depthwise)
        modes.append(_any([wrong, *unbuilt]))
    return Array(lengths)[fields.macro], Array(modes)[fields.macro]
