"""Options that choose the arithmetic and the macro, and the specs that they make."""

import argparse
import dataclasses
from dataclasses import dataclass
from typing import Any

from dscim.errors import UserError
from dscim.gateware.specs import VARIANTS, MacroSpec, ProductSpec, SequenceSpec, SocSpec
from dscim.gateware.specs.macro import default_macro
from dscim.gateware.specs.product import SIGNED_MODES
from dscim.gateware.specs.sequence import KINDS
from dscim.gateware.specs.soc import WORD_BYTES
from dscim.gateware.specs.tables import TABLES, table_sequence
from dscim.host.cli.options import choice, option, switch
from dscim.host.network import Network

DEFAULT_TABLE = "gaussian"

DEPTHWISE = 4
"""Samples per cycle of each product in the depthwise unit."""


def pair(text: str) -> tuple[int, int]:
    """Two integers, decimal or 0x..., separated by a comma."""
    try:
        first, second = (int(part, 0) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not two numbers separated by a comma"
        ) from None
    return first, second


@dataclass(frozen=True, kw_only=True)
class PointsOptions:
    """The OR width and the sample points; None: the default."""

    GROUP = "arithmetic"
    variant: str | None = choice(VARIANTS, "ds-cim1 (OR of 16 rows, default) or ds-cim2 (of 64)")
    sequence: str | None = choice(KINDS, "generator of the sample points (default: counter)")
    table: str | None = choice(
        TABLES,
        "thresholds of the sequence table, named after the operands that they suit (default: "
        "gaussian); -scaled: for sums multiplied by a gain afterwards, as calibration does",
    )
    taps: tuple[int, int] | None = option(
        "A,W",
        "tap masks of the activations' and the weights' LFSR, for example 0x95,0x95",
        type=pair,
    )
    seeds: tuple[int, int] | None = option(
        "A,W", "start values of the two LFSRs, each 1..255", type=pair
    )


@dataclass(frozen=True, kw_only=True)
class ArithmeticOptions(PointsOptions):
    """The whole arithmetic of a product."""

    GROUP = "arithmetic"
    length: int | None = option("L", "stream length in samples (default: 256)")
    signed: str | None = choice(SIGNED_MODES, "signed mode (default: split)")
    exact: bool = switch("use the exact INT8 macro instead of the stochastic one")


@dataclass(frozen=True, kw_only=True)
class MacroOptions:
    """The shape of the macro."""

    GROUP = "macro"
    form: str = choice(
        ["selected", "array"],
        "selected (one row of a group per cycle) or array (the paper's circuit)",
        default="selected",
    )
    lanes: int | None = option(
        "P", "sample points per cycle (default: 64; 1 for array, and with lfsr)"
    )
    rows: int = option("R", "rows of the macro", default=128)
    columns: int = option("C", "columns of the macro", default=32)
    depthwise: int | None = option(
        "S",
        "samples per cycle of each product in the depthwise unit; 0: no unit (default: "
        f"{DEPTHWISE} if the macro has 8 columns, is selected and is not for lfsr)",
    )


@dataclass(frozen=True, kw_only=True)
class DeviceOptions(PointsOptions, MacroOptions):
    """A device, but not the product that runs on it."""


def product_spec(options: ArithmeticOptions, default: ProductSpec | None = None) -> ProductSpec:
    """The arithmetic of the options, `default` where they are None; SpecError if it is invalid.

    Any option of a stochastic product overrides an exact default.
    """
    default = default or ProductSpec()
    changes: dict[str, Any] = {"sequence": _sequence(options, default.sequence)}
    if options.signed is not None:
        changes["signed"] = options.signed
    if options.signed == "offset":
        changes["activation_shift"] = 0
    others = any(value is not None for value in (options.signed, options.sequence, options.table))
    chosen = chosen_arithmetic(default, options.variant, options.length, options.exact, others)
    return dataclasses.replace(chosen, **changes)


def chosen_arithmetic(
    default: ProductSpec,
    variant: str | None,
    length: int | None,
    exact: bool,
    stochastic: bool = False,
) -> ProductSpec:
    """The rule of every verb: what --variant, --length and --exact make of `default`.

    `default` is the network's own arithmetic; an imported network is exact until it is calibrated.
    --exact asks for the exact product; without it, --variant, --length or `stochastic`, any other
    option of DS-CIM, asks for DS-CIM. SpecError if the result is invalid.
    """
    stochastic = stochastic or variant is not None or length is not None
    return dataclasses.replace(
        default,
        or_width=default.or_width if variant is None else VARIANTS[variant],
        length=default.length if length is None else length,
        exact=exact or (default.exact and not stochastic),
    )


def variant_of(product: ProductSpec) -> str:
    """The --variant of a product's OR width."""
    return next(name for name, width in VARIANTS.items() if width == product.or_width)


def uncalibrated(network: Network, arithmetic: ProductSpec) -> str:
    """The sentence on a network for the exact product whose use with DS-CIM is estimated."""
    return (
        f"{network.name} is for the exact product; these are estimates with DS-CIM, for which it "
        f"must be calibrated first: dscim calibrate {network.name}.npz INPUTS.npy --output OUT.npz "
        f"--variant {variant_of(arithmetic)} --length {arithmetic.length}. With --exact, the "
        "device has an exact macro, too, and uses it."
    )


def device_spec(options: DeviceOptions) -> SocSpec:
    """The device of the options; SpecError if it cannot be built."""
    default = ProductSpec()
    width = default.or_width if options.variant is None else VARIANTS[options.variant]
    sequence = _sequence(options, default.sequence)
    return soc_for(dataclasses.replace(default, or_width=width, sequence=sequence), options)


def soc_for(product: ProductSpec, options: MacroOptions | None = None) -> SocSpec:
    """The device that computes `product`, with the macro of the options.

    It also has an exact macro, so that `--exact` runs on the same device. SpecError if the macro
    cannot be built.
    """
    macro = default_macro(product.or_width, product.sequence)
    if options is None:
        return SocSpec(macro=macro, depthwise=_depthwise(macro))
    lanes = options.lanes
    if lanes is None:
        lanes = macro.lanes if options.form == "selected" else 1
    macro = MacroSpec(
        rows=options.rows,
        columns=options.columns,
        or_width=product.or_width,
        form=options.form,
        lanes=lanes,
        sequence=product.sequence,
    )
    spec = SocSpec(
        macro=macro,
        requant_lanes=min(SocSpec.requant_lanes, macro.columns),
        depthwise=_depthwise(macro) if options.depthwise is None else options.depthwise,
    )
    spec.macro_for(product)
    return spec


def _depthwise(macro: MacroSpec) -> int:
    """The default of `SocSpec.depthwise`; 0 if the unit cannot be built beside the macro."""
    return DEPTHWISE if macro.slotted and macro.columns >= WORD_BYTES else 0


def _sequence(options: PointsOptions, default: SequenceSpec) -> SequenceSpec:
    kind = options.sequence or ("table" if options.table else default.kind)
    if options.table and kind != "table":
        raise UserError(
            f"--table {options.table} belongs to the sequence table, not to {kind}; leave out "
            "--sequence or --table."
        )
    if kind == "table":
        chosen = options.table or DEFAULT_TABLE
        kept = default if default.table and not options.table else table_sequence(chosen)
        return SequenceSpec(kind, options.taps or (), options.seeds or (), kept.table)
    kept = default if default.kind == kind else SequenceSpec(kind)
    return SequenceSpec(kind, options.taps or kept.taps, options.seeds or kept.seeds)
