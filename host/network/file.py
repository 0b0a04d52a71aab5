"""The network file: one .npz archive, version 1.

`header.npy` is UTF-8 JSON as uint8: {"format": "dscim network", "version": 1, "name", "shape",
"scale", "zero", "classes", "arithmetic" (the fields of ProductSpec), "provenance", "nodes"}.
Each node is an object: "kind" (a name in `dscim.host.network.nodes`) and the fields of that class
without its arrays; those in LATER may be absent. The array `field` of node i is `i.field.npy`. For
Conv: `i.weights` int8 OHWI, `i.bias`, `i.multiplier`, `i.shift` int32.
Nothing is pickled. Equal networks give equal bytes, so the SHA-256 of the file identifies the
network.
"""

import dataclasses
import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from dscim.arrays import Array
from dscim.errors import UserError
from dscim.files import reason_of, save_bytes
from dscim.gateware.specs import SpecError
from dscim.gateware.specs.base import fields_of, require, revive
from dscim.host.network.archive import unzip_arrays, zip_arrays
from dscim.host.network.network import Network
from dscim.host.network.node import Node
from dscim.host.network.nodes import KINDS

FORMAT = "dscim network"
VERSION = 1

LATER = ("single_rounding",)
"""Fields of nodes that older files lack.

They are written only if they differ from their default, which keeps the bytes of older networks.
"""

MAX_NODES = 10_000
"""The limit on the nodes in a file."""

DAMAGE = (
    SpecError,
    zipfile.BadZipFile,
    zlib.error,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    EOFError,
    OSError,
    RuntimeError,
    MemoryError,
)
"""Errors of zipfile, zlib, numpy and json for damaged files; RuntimeError covers
NotImplementedError."""


def save(network: Network, path: Path) -> str:
    """Writes the network file and returns its SHA-256 as `file_hash` does.

    Creates its folder if missing. UserError if it cannot be written.
    """
    data = pack(network)
    save_bytes(path, data, parents=True)
    return hashlib.sha256(data).hexdigest()


def load(path: Path) -> Network:
    """Reads and checks a network file; UserError if it is missing, damaged, or not one."""
    try:
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UserError(
                f"the network '{path}' is a pipe or a device; give a file, which is read twice."
            )
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else f"{error}"
        raise UserError(f"the network '{path}' cannot be read: {reason}.") from error
    try:
        arrays = unzip_arrays(data)
        header = json.loads(arrays["header"].tobytes())
    except DAMAGE as error:
        raise UserError(
            f"'{path}' is not a network file, or it is damaged: {_reason(error)}"
        ) from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise UserError(f"'{path}' is not a network file: its header does not say {FORMAT!r}.")
    if header.get("version") != VERSION:
        raise UserError(
            f"'{path}' has version {str(header.get('version'))[:20]!r} of the network "
            f"format, but this program reads version {VERSION}: export it again."
        )
    try:
        return _network(header, arrays)
    except DAMAGE as error:
        raise UserError(f"'{path}' is a damaged network file: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """The error as the end of a sentence."""
    text = " ".join(str(error).split())[:300] or type(error).__name__
    return f"{text.rstrip('.')}."


def file_hash(path: Path) -> str:
    """SHA-256 of the file, in hex; it identifies the network."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def pack(network: Network) -> bytes:
    """The bytes of the network file."""
    header: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "name": network.name,
        "shape": network.shape,
        "scale": network.scale,
        "zero": network.zero,
        "classes": network.classes,
        "arithmetic": network.arithmetic.to_json(),
        "provenance": network.provenance,
        "nodes": [],
    }
    arrays: dict[str, Array] = {}
    for index, node in enumerate(network.nodes):
        plain: dict[str, Any] = {"kind": type(node).__name__}
        for name, value in fields_of(node, LATER).items():
            if isinstance(value, np.ndarray):
                arrays[f"{index}.{name}"] = value
            else:
                plain[name] = value
        header["nodes"].append(plain)
    text = json.dumps(header, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return zip_arrays({"header": np.frombuffer(text.encode(), np.uint8), **arrays})


def _network(header: dict[str, Any], arrays: dict[str, Array]) -> Network:
    """The network that header and arrays describe."""
    count = len(header["nodes"])
    require(count <= MAX_NODES, f"It has {count} nodes, more than the limit of {MAX_NODES}.")
    by_node: dict[str, dict[str, Array]] = {}
    for name, array in arrays.items():
        index, _, field = name.partition(".")
        by_node.setdefault(index, {})[field] = array
    nodes = tuple(
        _node(index, plain, by_node.pop(str(index), {}))
        for index, plain in enumerate(header["nodes"])
    )
    names = [field.name for field in dataclasses.fields(Network)]
    network = revive(
        "The header", Network, {name: header[name] for name in names} | {"nodes": nodes}
    )
    by_node.pop("header")
    require(
        not by_node, f"It holds arrays that belong to no node: {', '.join(sorted(by_node))[:80]}."
    )
    return network


def _node(index: int, plain: dict[str, Any], arrays: dict[str, Array]) -> Node:
    """Node `index`: the fields of its object, and its arrays."""
    if plain.get("kind") not in KINDS:
        raise SpecError(
            f"Node {index} is of the unknown kind {str(plain.get('kind'))[:40]!r}; "
            f"this program knows {', '.join(KINDS)}."
        )
    fields = {name: value for name, value in plain.items() if name != "kind"}
    return revive(f"Node {index}", KINDS[plain["kind"]], fields | arrays)
