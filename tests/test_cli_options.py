"""Options as typed objects, and the help and the example of every command."""

import argparse
import dataclasses
import importlib
import re
import shlex
import shutil
import types
import typing
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec
from dscim.host.cli import main
from dscim.host.cli.entry import make_parser
from dscim.host.cli.options import (
    KEY,
    Command,
    add_options,
    argument,
    choice,
    filled,
    option,
    switch,
)
from dscim.host.cli.verbs import VERBS, commands
from dscim.host.network import save
from tests.small_network import small_images, small_network

ROOT = Path(__file__).parent.parent
COMMANDS = {" ".join(words): verb for words, verb in commands()}


def command(name: str) -> Command[Any]:
    """The command of that name."""
    verb = COMMANDS[name]
    found = getattr(importlib.import_module(f"dscim.host.cli.{verb.module}"), verb.command)
    assert isinstance(found, Command)
    return found


@dataclasses.dataclass(frozen=True, kw_only=True)
class Shared:
    """Options of a group."""

    GROUP = "shared"
    rate: float = option("R", "rate in Hz", default=0.5, within=(0, 2))
    fast: bool = switch("go fast")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Which:
    """One of two."""

    ONE_OF = True
    here: int | None = option("N", "number here")
    there: Path | None = option("FILE", "file there")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example(Which, Shared):
    """Options of a command."""

    file: Path = argument("FILE", "file with 50 % of it")
    count: int = option("N", "number of images", short="-c", within=(1, None))
    kind: str = choice(["a", "b"], "kind", default="a")
    some: Sequence[int] = option("N", "numbers", action="append", type=int)
    rate: float = option("R", "rate in Hz", default=1.5, within=(0, 2))


def parsed(text: str) -> Example:
    parser = argparse.ArgumentParser(exit_on_error=False)
    add_options(parser, Example)
    return filled(Example, parser.parse_args(text.split()))


GOOD = "x.npz -c 3 --some 1 --some 2 --here 4"


def test_options_are_typed() -> None:
    assert parsed(GOOD) == Example(
        file=Path("x.npz"),
        count=3,
        kind="a",
        some=[1, 2],
        rate=1.5,
        fast=False,
        here=4,
        there=None,
    )
    assert parsed(f"{GOOD} --rate 2 --fast --kind b").rate == 2.0


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("-c 0", "--count 0 is below 1."),
        ("--rate 2.5", "--rate 2.5 is outside 0..2."),
        ("--rate nan", "--rate nan is outside 0..2."),
        ("--rate -1", "--rate -1 is outside 0..2."),
    ],
)
def test_limits_are_checked(more: str, message: str) -> None:
    with pytest.raises(UserError, match=f"^{re.escape(message)}$"):
        parsed(f"{GOOD} {more}")


@pytest.mark.parametrize(
    "text", ["-c 3 --some 1 --here 4", GOOD.replace("--here 4", ""), f"{GOOD} --there x"]
)
def test_missing_and_exclusive_options(text: str) -> None:
    with pytest.raises((SystemExit, argparse.ArgumentError)):
        parsed(text)


def test_help_has_groups_and_defaults() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, Example)
    text = " ".join(parser.format_help().split())
    assert "file with 50 % of it" in text
    assert "(--here N | --there FILE)" in text
    assert "shared: --rate R rate in Hz (default: 1.5) --fast go fast" in text
    assert "--kind {a,b} kind (default: a)" in text


def fits(value: Any, hint: Any) -> bool:
    """Whether a value has the type of an annotation."""
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, part) for part in parts)
    if origin is tuple:
        if parts[-1] is Ellipsis:
            return isinstance(value, tuple) and all(fits(each, parts[0]) for each in value)
        return isinstance(value, tuple) and all(map(fits, value, parts))
    if origin in (list, Sequence):
        return isinstance(value, list | tuple) and all(fits(each, parts[0]) for each in value)
    return isinstance(value, hint) and (hint is not int or type(value) is int)


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_a_command_is_parsed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Its values, and so all defaults, have the types that the options declare."""
    it = command(name)
    words = shlex.split(it.example)
    assert words[: len(name.split())] == name.split()
    values = filled(it.options, make_parser(words).parse_args(words))
    hints = typing.get_type_hints(it.options)
    wrong = {
        field.name: getattr(values, field.name)
        for field in dataclasses.fields(it.options)
        if not fits(getattr(values, field.name), hints[field.name])
    }
    assert wrong == {}
    with pytest.raises(SystemExit):
        make_parser([*name.split(), "--help"]).parse_args([*name.split(), "--help"])
    text = capsys.readouterr().out
    assert text.startswith(f"usage: dscim {name} ")
    assert text.endswith(f"\nexample:\n  dscim {it.example}\n")
    summary = COMMANDS[name].summary
    assert f"{summary[0].upper()}{summary[1:]}." in " ".join(text.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_readers_return_what_fields_declare(name: str) -> None:
    """The `type` of an option that has one of its own gives the type of its field."""
    kind = command(name).options
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        keywords = field.metadata[KEY].keywords
        reader, hint = keywords.get("type"), hints[field.name]
        if reader is None:
            continue
        parts = [part for part in typing.get_args(hint) if part is not type(None)]
        if typing.get_origin(hint) is types.UnionType:
            (hint,) = parts
        if "nargs" in keywords or keywords.get("action") == "append":
            (hint,) = typing.get_args(hint)
        read = typing.get_type_hints(reader).get("return", reader)
        assert read == hint, field.name


UNITS = re.compile(
    r"\b(ids|images?|inputs|cycles?|seconds|bytes|MHz|nm|fF|baud|rows|columns|samples|points|words"
    r"|channels|descriptors|epochs|pixels|threads|processes|simulators|commands|structures"
    r"|iterations|differences|bits|batches|repetitions|seeds?|port|rate|decay|smoothing"
    r"|probability|integer|voltage in V)\b"
)


@pytest.mark.parametrize("name", COMMANDS)
def test_numbers_have_units_and_texts_say_something(name: str) -> None:
    kind = command(name).options
    hints = typing.get_type_hints(kind)
    for field in dataclasses.fields(kind):
        declared = field.metadata[KEY]
        assert len(declared.help.split()) > 1 or "choices" in declared.keywords, field.name
        assert not declared.help.startswith("of "), field.name
        if {int, float} & {hints[field.name], *typing.get_args(hints[field.name])}:
            assert UNITS.search(declared.help), (field.name, declared.help)


def test_groups_have_help(capsys: pytest.CaptureFixture[str]) -> None:
    for group in ("prune", "dev", "dev train"):
        words = [*group.split(), "--help"]
        with pytest.raises(SystemExit):
            make_parser(words).parse_args(words)
        text = capsys.readouterr().out
        verbs = VERBS[words[0]].verbs
        for name in verbs if group in VERBS else verbs["train"].verbs:
            assert f"\n    {name}" in text


CHEAP = [
    "bench",
    "boards",
    "calibrate",
    "demo",
    "dev accuracy",
    "dev pages",
    "dev sizes",
    "fit",
    "macros",
    "mvm",
    "prune cost",
    "run",
    "selftest",
]


@pytest.mark.parametrize("name", CHEAP)
def test_cheap_examples_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save(small_network(arithmetic=ProductSpec(length=64)), tmp_path / "net.npz")
    np.save(tmp_path / "train.npy", small_images(8))
    images, rng = small_images(4), np.random.default_rng(0)
    if name == "mvm":
        images = rng.integers(-128, 128, (2, 150)).astype(np.int8)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "w.npy", rng.integers(-128, 128, (150, 3)).astype(np.int8))
    np.save(tmp_path / "y.npy", np.arange(4))
    shutil.copy(ROOT / "README.md", tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(shlex.split(command(name).example)) == 0
    printed = capsys.readouterr()
    assert printed.err == "" and len(printed.out) > 20
