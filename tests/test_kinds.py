"""Every kind of node is listed and has an entry in every table; collected before all other tests.

A new kind is a class in host/network/. Until it is complete, these tests name what is missing.
"""

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dscim.host.network import KINDS, Node
from tests import random_networks

HOST = Path(__file__).parent.parent / "host"
TABLE = re.compile(r"^(\w+): (?:ByKind\[|dict\[type\[Node\])", re.MULTILINE)
"""The definition of a table, at the beginning of a line."""

TRAITS = ("arity", "pointwise", "keeps_scale", "fixes_scale")
"""The class variables that describe a kind."""


def modules(folder: Path, pattern: str) -> Iterator[tuple[str, str]]:
    """Name and text of the modules below `folder`, which is below HOST."""
    for path in sorted(folder.glob(pattern)):
        parts = path.relative_to(HOST).with_suffix("").parts
        yield ".".join(("dscim", "host", *parts)), path.read_text()


TABLES = [
    (module, name) for module, text in modules(HOST, "**/*.py") for name in TABLE.findall(text)
]


def leaves(kind: type) -> set[type]:
    """The kinds below `kind` that no other kind is derived from."""
    below = kind.__subclasses__()
    return {kind} if not below else set().union(*map(leaves, below))


def names(kinds: set[type]) -> list[str]:
    return sorted(kind.__name__ for kind in kinds)


def test_every_kind_is_listed() -> None:
    for module, _ in modules(HOST / "network", "*.py"):
        importlib.import_module(module)
    ours = {kind for kind in leaves(Node) if kind.__module__.startswith("dscim.")}
    unlisted = names(ours - set(KINDS.values()))
    assert not unlisted, f"KINDS of host/network/nodes.py lacks {unlisted}"


def test_every_kind_says_what_it_is() -> None:
    lacking = {name: [t for t in TRAITS if not hasattr(kind, t)] for name, kind in KINDS.items()}
    lacking = {name: traits for name, traits in lacking.items() if traits}
    assert not lacking, f"kinds lack class attributes: {lacking}"


def test_there_are_tables() -> None:
    assert len(TABLES) >= 9


def written_keys(module: str, table: str) -> set[str]:
    """The names of the keys in the source of a table, for a module that needs torch."""
    path = HOST.joinpath(*module.split(".")[2:]).with_suffix(".py")
    found = [
        item.value
        for item in ast.parse(path.read_text()).body
        if isinstance(item, ast.AnnAssign) and ast.unparse(item.target) == table
    ]
    assert len(found) == 1 and isinstance(found[0], ast.Dict)
    return {ast.unparse(key) for key in found[0].keys if key is not None}


@pytest.mark.parametrize(("module", "table"), TABLES)
def test_every_table_has_every_kind(module: str, table: str) -> None:
    if ".training." in module:  # read, not imported: torch is optional
        entries = written_keys(module, table)
    else:
        entries = {kind.__name__ for kind in getattr(importlib.import_module(module), table)}
    missing, unknown = sorted(set(KINDS) - entries), sorted(entries - set(KINDS))
    assert not missing, f"{table} of {module} lacks {missing}"
    assert not unknown, f"{table} of {module} has {unknown}, which KINDS lacks"


def test_random_networks_have_every_kind() -> None:
    missing = set(KINDS) - {*random_networks.KINDS, "Softmax"}
    assert not missing, f"KINDS of tests/random_networks.py lacks {sorted(missing)}"
