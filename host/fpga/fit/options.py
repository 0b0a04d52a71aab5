"""The options of `dscim build` that turn one device into another."""

from dscim.gateware.specs import VARIANTS, SocSpec

MACRO_SIZES = ("rows", "columns", "lanes", "samples")
"""Options that size the macro, by their names in `MacroSpec`."""

SIZES = (
    "weight_rows",
    "channels",
    "activation_words",
    "banks",
    "read_ports",
    "strip",
    "requant_lanes",
    "descriptors",
    "depthwise",
)
"""Options that size the rest of the device, by their names in `SocSpec`."""


def build_options(before: SocSpec, after: SocSpec) -> str:
    """The options of `dscim build` that turn `before` into `after`, which differ in sizes only."""
    changed = {
        name: getattr(new, name)
        for names, old, new in (
            (MACRO_SIZES, before.macro, after.macro),
            (SIZES, before, after),
        )
        for name in names
        if getattr(old, name) != getattr(new, name)
    }
    if before.macro.or_width != after.macro.or_width:
        widths = {width: variant for variant, width in VARIANTS.items()}
        changed = {"variant": widths[after.macro.or_width], **changed}
    if before.macro.signed != after.macro.signed:
        (changed["signed"],) = after.macro.signed
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in changed.items())
