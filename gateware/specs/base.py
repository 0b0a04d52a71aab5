"""Specs: frozen, validated, to and from JSON, with a short hash.

`revive` reads any frozen dataclass from JSON, a node of a network file for example: every field is
there, known and of the type that its class declares, else one sentence names it with its value.
"""

import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Collection
from typing import Any, ClassVar, Self, TypeVar

import numpy as np

Kind = TypeVar("Kind")


class SpecError(ValueError):
    """An invalid spec: one sentence with the value, the limit and the way out."""


def require(condition: bool, message: str) -> None:
    """Raises `SpecError(message)` unless `condition` holds."""
    if not condition:
        raise SpecError(message)


def is_power_of_two(value: int) -> bool:
    """True for 1, 2, 4, 8 ..."""
    return value > 0 and value & (value - 1) == 0


@dataclasses.dataclass(frozen=True)
class Spec:
    """A frozen description of hardware or arithmetic, from which host and gateware are built.

    Subclasses are frozen dataclasses whose fields are numbers, strings, booleans, tuples of
    these, or further specs, and which validate themselves in `__post_init__`.
    """

    later: ClassVar[tuple[str, ...]] = ()
    """Fields added after files were written without them: left out where they have their default,
    so that equal specs keep their hash."""

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values, from which `from_json` makes an equal spec."""
        return {name: _plain(value) for name, value in fields_of(self, self.later).items()}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The spec that `to_json` wrote; fields with a default may be absent. Else SpecError."""
        return revive(cls.__name__, cls, data)

    @property
    def hash(self) -> int:
        """32 bits that identify this spec: SHA-256 of its canonical JSON, truncated."""
        text = json.dumps([type(self).__name__, self.to_json()], sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def fields_of(value: Any, later: Collection[str] = ()) -> dict[str, Any]:
    """The fields of a dataclass by name, without those of `later` that have their default."""
    held = {field: getattr(value, field.name) for field in dataclasses.fields(value)}
    return {
        field.name: item
        for field, item in held.items()
        if field.name not in later or item != field.default
    }


def revive(what: str, kind: type[Kind], data: Any) -> Kind:
    """The dataclass `kind` with the fields in `data`: JSON values, arrays or what it declares.

    Lists become tuples, and objects the specs that the fields declare. Integers have at most 31
    bits, floats are finite. SpecError begins with `what` and names the field and its value.
    """
    require(isinstance(data, dict), f"{what} needs a JSON object, not {_short(data)}.")
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = [str(name)[:40] for name in data if name not in fields]
    require(
        not unknown,
        f"{what} has no field {', '.join(sorted(unknown)[:8])}; its fields are "
        f"{', '.join(fields)}.",
    )
    missing = [
        name
        for name, field in fields.items()
        if name not in data and field.default is field.default_factory is dataclasses.MISSING
    ]
    require(not missing, f"{what} lacks the field {', '.join(missing)}.")
    hints = typing.get_type_hints(kind)
    return kind(**{name: _revived(what, name, hints[name], data[name]) for name in data})


def _revived(what: str, name: str, hint: Any, value: Any) -> Any:
    """The value of the field `name`, of the type `hint`."""
    specs = [each for each in _options(hint) if isinstance(each, type) and issubclass(each, Spec)]
    if specs and value is not None and not isinstance(value, Spec):
        return specs[0].from_json(value)
    value = _tuples(value)
    require(
        _conforms(value, hint),
        f"{what} has the field {name} of {_short(value)}, which is not {_named(hint)}.",
    )
    return float(value) if hint is float else value


def _conforms(value: Any, hint: Any) -> bool:
    """True for a value of the type `hint`."""
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if hint is int:
        return type(value) is int and abs(value) < 1 << 31
    if hint is float:
        return type(value) in (int, float) and math.isfinite(value)
    if origin is types.UnionType:
        return any(_conforms(value, each) for each in inner)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        if inner[-1] is Ellipsis:
            return all(_conforms(item, inner[0]) for item in value)
        return len(value) == len(inner) and all(map(_conforms, value, inner))
    return isinstance(value, origin or hint)


def _options(hint: Any) -> tuple[Any, ...]:
    """The types of a union; any other type alone."""
    return typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)


def _named(hint: Any) -> str:
    """A type as a message names it."""
    if typing.get_origin(hint) is np.ndarray:
        return "an array"
    return hint.__name__ if isinstance(hint, type) else str(hint)


def _short(value: Any) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _plain(value: Any) -> Any:
    """A field as JSON values."""
    if isinstance(value, Spec):
        return value.to_json()
    return [_plain(item) for item in value] if isinstance(value, tuple) else value


def _tuples(value: Any) -> Any:
    """JSON's lists as tuples, at every depth."""
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
