"""Which descriptors are rejected, and the code (twin: `dscim.host.golden.twin.rejection`)."""

from functools import reduce
from operator import or_

from migen import Array, C, Cat, Mux, Signal, log2_int

from dscim.gateware.descriptor import MAX_KERNEL, MAX_WIDENING, Operation
from dscim.gateware.registers import ErrorCode
from dscim.gateware.specs import MAX_DEPTH, SocSpec
from dscim.gateware.specs.macro import UNIT_ROWS
from dscim.gateware.specs.soc import WORD_BYTES

MAX_UNITS = -(-MAX_DEPTH // UNIT_ROWS)
"""The most units of a window: with more, 32 bits could wrap."""

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
    "units",
)


def rejection(module, spec: SocSpec, place, fields, plan):
    """The lowest code of all failed checks, valid a cycle after its inputs.

    module: the logic is added to it. place: of the descriptor. fields, plan: those of `Setup`.
    """
    length, signed = _arithmetic(spec, fields, plan)
    vector, product = plan.vector, ~plan.vector
    known = fields.operation <= max(Operation)
    if not spec.depthwise:
        known = fields.operation < Operation.CHANNELWISE
    added = plan.add | fields.residual
    second_rows = Mux(plan.add, plan.input_rows, plan.output_rows)
    input_end, second_end, output_end, weight_end, parameter_end = (
        _sum(module, base, size)
        for base, size in (
            (fields.input_base, plan.input_rows),
            (fields.second_base, second_rows),
            (fields.output_base, plan.output_rows),
            (fields.weight_base, plan.weight_rows),
            (fields.parameter_base, fields.outputs),
        )
    )
    faults = {
        ErrorCode.DESCRIPTOR: place >= spec.descriptors,
        ErrorCode.OPERATION: ~known | (fields.residual & vector) | (added & fields.raw),
        ErrorCode.MACRO: product
        & ((fields.macro >= len(spec.macros)) | (plan.apart & (fields.macro != 0))),
        ErrorCode.LENGTH: product & length,
        ErrorCode.SIGNED_MODE: product & signed,
        ErrorCode.GEOMETRY: _sizes(module, fields)
        | Mux(vector, _vector_geometry(fields, plan), _product_geometry(spec, fields, plan)),
        ErrorCode.SCALING: added & _widening(module, fields),
        ErrorCode.INPUT_MEMORY: (input_end > spec.activation_rows)
        | (added & (second_end > spec.activation_rows)),
        ErrorCode.OUTPUT_MEMORY: output_end > spec.activation_rows,
        ErrorCode.WEIGHT_MEMORY: product & (weight_end > spec.weight_rows),
        ErrorCode.PARAMETER_MEMORY: product & (parameter_end > spec.channels),
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
        | (_sum(module, Cat(C(0, 3), f.input_plane), f.inputs) > f.input_channels)
        | (_sum(module, f.output_channel, f.outputs) > f.output_channels)
    )


def _product_geometry(spec: SocSpec, f, plan):
    """More units than the window has or than a product may have, outputs inside a word, or
    depthwise with other channels, or on a macro too narrow for a word's channels."""
    depthwise = (f.operation == Operation.DEPTHWISE) | plan.apart
    large = (
        (f.kernel_height > MAX_KERNEL) | (f.kernel_width > MAX_KERNEL) | (f.stride_y > MAX_KERNEL)
    )
    narrow = 1 if spec.macro.columns < WORD_BYTES else 0
    within = f.output_channel[:3] != 0
    inside = f.output_channel[:2] != 0 if narrow else within
    return (
        (f.units > plan.window)
        | (f.units > MAX_UNITS)
        | (f.weight_rows == 0)
        | (f.raw & f.output_channel[0])
        | (plan.apart & (large | (f.units != plan.taps)))
        | Mux(depthwise, within | (f.inputs != f.outputs) | narrow, inside)
    )


def _vector_geometry(f, plan):
    """Not from a whole word on, or an add that is not elementwise."""
    words = f.output_channel[:3] != 0
    same = (f.input_height == f.output_height) & (f.input_width == f.output_width)
    still = (
        (f.kernel_height == 1)
        & (f.kernel_width == 2)
        & (f.stride_y == 1)
        & (f.stride_x == 1)
        & (f.origin_y == 0)
        & (f.origin_x == 0)
    )
    return words | (f.inputs != f.outputs) | (f.units != 1) | (plan.add & ~(same & still))


def _widening(module, f):
    """An input of an add exceeds 32 bits."""
    faults = []
    for shift in (f.first_shift, f.second_shift):
        total = Signal((8, True))
        module.comb += total.eq(Mux(shift > 0, shift, 0) + f.left_shift)
        faults.append(total > MAX_WIDENING)
    return _any(faults)


def _arithmetic(spec: SocSpec, fields, plan):
    """(length not allowed, signed mode not supported) for the macro that the descriptor names."""
    lengths, modes = [], []
    depthwise = (fields.operation == Operation.DEPTHWISE) | plan.apart
    for place, macro in enumerate(spec.macros):
        if macro.form == "exact":
            lengths.append(0)
            modes.append(0)
            continue
        least = log2_int(macro.lanes) - log2_int(macro.or_width) if macro.form == "array" else 0
        short = fields.samples_log2 < least if least > 0 else 0
        long = fields.samples_log2 > log2_int(macro.max_samples)
        if spec.depthwise and place == 0:
            long |= plan.apart & (fields.samples_log2 > log2_int(spec.depthwise_samples))
        lengths.append(long | short)
        missing = {"offset": fields.offset, "split": fields.offset == 0}
        unbuilt = [missing[mode] for mode in missing if mode not in macro.signed]
        wrong = fields.offset & ((fields.activation_shift != 0) | depthwise)
        modes.append(_any([wrong, *unbuilt]))
    return Array(lengths)[fields.macro], Array(modes)[fields.macro]
