"""Commands and their options: a frozen dataclass declares them, and its parser follows from it.

    @dataclass(frozen=True, kw_only=True)
    class Options(ReportOptions):
        network: Path = argument("NETWORK", "network file (.npz)")
        limit: int | None = option("N", "use only the first N inputs", within=(1, None))

A field has the name of its option. Its type parses the text: int, float, str, Path, or bool for a
switch. An option is required if it has no default and its type does not allow None. Options that
several commands share are dataclasses that a command's class inherits from. The options of a class
with a GROUP are in a group with that title; of the options of a class with ONE_OF, exactly one is
required.
"""

import argparse
import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

from dscim.errors import UserError
from dscim.files import check_outputs

T = TypeVar("T")

Limits = tuple[float | None, float | None]
"""The smallest and the largest value; None: no limit."""

KEY = "option"
"""The key of a field's metadata."""


@dataclasses.dataclass(frozen=True)
class Command(Generic[T]):
    """A command: its options, what runs it and returns the exit status, and an example.

    Before it runs, its outputs are checked: that they can be written, that no two are one file, and
    that none is an input. example: the words of a command line that works, without `dscim`.
    """

    options: type[T]
    run: Callable[[T], int]
    example: str

    def configure(self, parser: argparse.ArgumentParser) -> None:
        """Adds the options to a parser, and has it run this command."""
        add_options(parser, self.options)
        parser.epilog = f"example:\n  dscim {self.example}"
        parser.formatter_class = argparse.RawDescriptionHelpFormatter
        parser.set_defaults(carry_out=self._carry_out)

    def _carry_out(self, parsed: argparse.Namespace) -> int:
        options = filled(self.options, parsed)
        check_outputs(output_paths(options), _input_paths(options))
        return self.run(options)


@dataclasses.dataclass(frozen=True)
class _Option:
    """How a field is parsed: keywords of `add_argument`, and the rest.

    positional: an argument, not an option. short: another name, such as -o. within: limits of a
    number. writes: the path of a file that the command writes.
    """

    help: str
    keywords: dict[str, Any]
    positional: bool = False
    short: str = ""
    within: Limits | None = None
    writes: bool = False


def option(
    metavar: str,
    help: str,
    *,
    default: Any = dataclasses.MISSING,
    short: str = "",
    within: Limits | None = None,
    writes: bool = False,
    **keywords: Any,
) -> Any:
    """A field that is the option --NAME with one value.

    metavar: the value's name in help. help: what the value is, with its unit; the default is added
    to it. within: the limits of a number. keywords: others of `add_argument`, such as `choices`.
    """
    keywords["metavar"] = metavar
    declared = _Option(help, keywords, short=short, within=within, writes=writes)
    return dataclasses.field(default=default, metadata={KEY: declared})


def output_file(metavar: str, help: str, **others: Any) -> Any:
    """An `option` that is the path of a file to write; `-` is standard output."""
    return option(metavar, help, writes=True, **others)


def choice(choices: Iterable[str], help: str, **keywords: Any) -> Any:
    """A field that is the option --NAME with one of these words."""
    return option("", help, choices=list(choices), **keywords)


def switch(help: str) -> Any:
    """A field that is the option --NAME without a value: True if it is on the command line."""
    return dataclasses.field(default=False, metadata={KEY: _Option(help, {"action": "store_true"})})


def argument(
    metavar: str, help: str, *, default: Any = dataclasses.MISSING, **keywords: Any
) -> Any:
    """A field that is a positional argument; one that may be None may be left out."""
    keywords["metavar"] = metavar
    return dataclasses.field(
        default=default, metadata={KEY: _Option(help, keywords, positional=True)}
    )


def add_options(parser: argparse.ArgumentParser, kind: type[Any]) -> None:
    """Adds the options of the dataclass `kind`, its own before inherited ones."""
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    homes = {name: base for base in kind.__mro__ for name in inspect.get_annotations(base)}
    groups: dict[str, argparse._ArgumentGroup] = {}
    for base in kind.__mro__:
        place: argparse._ActionsContainer = parser
        title = vars(base).get("GROUP")
        if title:
            place = groups[title] = groups.get(title) or parser.add_argument_group(title)
        if vars(base).get("ONE_OF"):
            place = place.add_mutually_exclusive_group(required=True)
        for name in inspect.get_annotations(base):
            if homes[name] is base and name in fields:
                _add(place, fields[name], hints[name], required="ONE_OF" not in vars(base))


def filled(kind: type[T], parsed: argparse.Namespace) -> T:
    """The dataclass `kind` with the parsed values; UserError for a value outside its limits."""
    values = {}
    for field in dataclasses.fields(typing.cast(Any, kind)):
        value = values[field.name] = getattr(parsed, field.name)
        within = field.metadata[KEY].within
        if within and value is not None:
            check_within(f"--{_dashed(field.name)}", value, *within)
    return kind(**values)


def output_paths(options: Any) -> dict[str, Path]:
    """The files that a command with these options writes, by the names of the options."""
    return _paths(options, writes=True)


def _input_paths(options: Any) -> dict[str, Path]:
    return _paths(options, writes=False)


def _paths(options: Any, writes: bool) -> dict[str, Path]:
    paths = {}
    for field in dataclasses.fields(options):
        declared: _Option = field.metadata[KEY]
        value = getattr(options, field.name)
        if isinstance(value, Path) and declared.writes == writes:
            name = declared.keywords["metavar"] if declared.positional else ""
            paths[name or f"--{_dashed(field.name)}"] = value
    return paths


def check_within(what: str, value: float, low: float | None, high: float | None) -> None:
    """UserError for a value of `what` outside the limits; NaN is outside any limits."""
    if (low is None or value >= low) and (high is None or value <= high):
        return
    shown = f"{value:g}" if isinstance(value, float) else f"{value}"
    if high is None and low is not None and value < low:
        raise UserError(f"{what} {shown} is below {low}.")
    raise UserError(f"{what} {shown} is outside {low}..{high}.")


def _add(
    place: argparse._ActionsContainer, field: dataclasses.Field[Any], hint: Any, required: bool
) -> None:
    declared: _Option = field.metadata[KEY]
    keywords = dict(declared.keywords)
    optional = type(None) in typing.get_args(hint)
    if "choices" in keywords:
        del keywords["metavar"]
    if "action" not in keywords and "type" not in keywords:
        keywords["type"] = _reader(hint)
    if field.default is not dataclasses.MISSING:
        keywords["default"] = field.default
    elif required and not optional and not declared.positional:
        keywords["required"] = True
    keywords["help"] = _help(declared.help, field.default)
    if declared.positional:
        if optional or field.default is not dataclasses.MISSING:
            keywords.setdefault("nargs", "?")
        place.add_argument(field.name, **keywords)
    else:
        names = [name for name in (declared.short, f"--{_dashed(field.name)}") if name]
        place.add_argument(*names, **keywords)


def _reader(hint: Any) -> Callable[[str], Any]:
    """The function that parses one value of this type; for `T | None` or a list of T, that of T."""
    while typing.get_origin(hint):
        origin = typing.get_origin(hint)
        parts = [part for part in typing.get_args(hint) if part not in (type(None), Ellipsis)]
        if origin not in (types.UnionType, typing.Union, list, Sequence):
            break
        hint = parts[0]
    return typing.cast(Callable[[str], Any], hint)


def _help(text: str, default: Any) -> str:
    """The help text and the default, unless there is none or the text already has it."""
    shows = default not in (dataclasses.MISSING, None, "", ()) and default is not False
    if shows and "default" not in text:
        shown = ",".join(map(str, default)) if isinstance(default, tuple) else f"{default}"
        text = f"{text} (default: {shown})"
    return text.replace("%", "%%")


def _dashed(name: str) -> str:
    return name.replace("_", "-")
