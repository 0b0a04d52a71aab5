"""`struct Layer` of kernel.cpp as ctypes, checked against the kernel when it is loaded."""

import ctypes

from dscim.errors import SimulationError

NUMBERS = (
    "height",
    "width",
    "channels",
    "out_height",
    "out_width",
    "outputs",
    "kernel_height",
    "kernel_width",
    "stride_y",
    "stride_x",
    "top",
    "left",
    "input_zero",
    "output_zero",
    "low",
    "high",
    "kind",
    "has_signs",
    "chunks",
    "byte_rows",
    "decode_shift",
    "has_offset",
    "wide",
    "single_rounding",
    "padded",
)
"""The 32-bit integers of `struct Layer`, in its order."""

ARRAYS = ("codes", "signs", "luts", "offsets", "factors", "constants", "multipliers", "shifts")
"""The pointers to arrays of `struct Layer`, after the integers."""


class Description(ctypes.Structure):
    """`struct Layer` of kernel.cpp, where each field is explained."""

    _fields_ = [
        *((name, ctypes.c_int32) for name in NUMBERS),
        *((name, ctypes.c_void_p) for name in ARRAYS),
    ]


class _Field(ctypes.Structure):
    """`struct Field` of kernel.cpp: the place of a field according to the compiler, in bytes."""

    _fields_ = [("name", ctypes.c_char_p), ("offset", ctypes.c_int64), ("size", ctypes.c_int64)]


def check_fields(library: ctypes.CDLL, described: type[ctypes.Structure] = Description) -> None:
    """Compares each field's place and size with the compiler's, by name.

    SimulationError names the first field that differs, or says that the kernel has no table.
    """
    try:
        count = ctypes.c_int64.in_dll(library, "dscim_layer_field_count").value
        table = (_Field * count).in_dll(library, "dscim_layer_fields")
    except ValueError as error:
        raise SimulationError(f"The kernel has no table of a layer's fields: {error}.") from error
    compiled = {field.name.decode(): (field.offset, field.size) for field in table}
    ours = {
        name: (getattr(described, name).offset, getattr(described, name).size)
        for name, *_ in described._fields_
    }
    for name in dict.fromkeys((*compiled, *ours)):
        if compiled.get(name) != ours.get(name):
            raise SimulationError(
                f"The field {name!r} of a layer is {_place(compiled.get(name))} in kernel.cpp, "
                f"but {_place(ours.get(name))} in description.py: make the two agree."
            )


def _place(place: tuple[int, int] | None) -> str:
    return "missing" if place is None else f"{place[1]} bytes at offset {place[0]}"
