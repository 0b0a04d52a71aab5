"""The base of every spec: frozen, validated, to and from JSON, with a short hash."""

import dataclasses
import hashlib
import json
from typing import Any, Self


class SpecError(ValueError):
    """A spec that cannot be: one sentence with the value, the limit and the way out."""


def require(condition: bool, message: str) -> None:
    """Raises `SpecError(message)` unless `condition` holds."""
    if not condition:
        raise SpecError(message)


def is_power_of_two(value: int) -> bool:
    """True for 1, 2, 4, 8 ..."""
    return value > 0 and value & (value - 1) == 0


@dataclasses.dataclass(frozen=True)
class Spec:
    """A frozen description of hardware or arithmetic, from which both twins are made.

    Subclasses are frozen dataclasses whose fields are numbers, strings, booleans, tuples of
    these, or further specs, and which validate themselves in `__post_init__`.
    """

    def to_json(self) -> dict[str, Any]:
        """A dict of JSON values, from which `from_json` makes an equal spec."""
        return {f.name: _plain(getattr(self, f.name)) for f in dataclasses.fields(self)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """The spec that `to_json` described; raises SpecError for anything else."""
        require(isinstance(data, dict), f"{cls.__name__} needs a JSON object, not {data!r}.")
        fields = {f.name: f for f in dataclasses.fields(cls)}
        unknown = sorted(set(data) - set(fields))
        require(
            not unknown,
            f"{cls.__name__} has no field {', '.join(unknown)}; "
            f"its fields are {', '.join(fields)}.",
        )
        values = {}
        for name, value in data.items():
            values[name] = _revive(fields[name].type, value)
        try:
            return cls(**values)
        except TypeError as error:
            raise SpecError(f"{cls.__name__} cannot be read from {data!r}: {error}.") from error

    @property
    def hash(self) -> int:
        """32 bits that tell this spec from others: SHA-256 of its canonical JSON, cut short."""
        text = json.dumps([type(self).__name__, self.to_json()], sort_keys=True)
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _revive(kind: Any, value: Any) -> Any:
    if isinstance(kind, type) and issubclass(kind, Spec):
        return kind.from_json(value)
    return _tuples(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Spec):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list) else value
