"""Whether a value read from a file is of the type that a field declares."""

import functools
import math
import typing
from typing import Any

import numpy as np

from dscim.gateware.specs.base import require


def check_fields(what: str, kind: type, values: dict[str, Any]) -> None:
    """Raises SpecError unless each of `values` that is a field of `kind` has the field's type."""
    for name, hint in _hints(kind).items():
        if name in values:
            require(
                conforms(values[name], hint),
                f"{what} has the field {name} of {str(values[name])[:60]!r}, which is not "
                f"{getattr(hint, '__name__', None) or hint}.",
            )


def conforms(value: Any, hint: Any) -> bool:
    """True for a value of the type `hint`: int, float, str, arrays and tuples of these."""
    origin, wanted = typing.get_origin(hint), typing.get_args(hint)
    if hint is int:
        return type(value) is int and abs(value) < 1 << 31
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if wanted[-1] is Ellipsis:
            return all(conforms(item, wanted[0]) for item in value)
        return len(value) == len(wanted) and all(map(conforms, value, wanted))
    if origin is np.ndarray or hint is dict or origin is dict:
        return isinstance(value, origin or hint)
    return not isinstance(hint, type) or isinstance(value, hint)


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)
