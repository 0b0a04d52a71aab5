"""The structure of the tree, measured: `python tests/structure.py`.

Rooms and loose modules, circles of packages and of files, fragments with one importer, and how
often `isinstance` asks for a kind of node. Imports are read by grimp from the tree of links that
`make lint` makes, so that a file counts where `pyproject.toml` maps it.
"""

import ast
import sys
from collections import Counter
from pathlib import Path

import grimp

ROOT = Path(__file__).parent.parent
TREE = ROOT / ".build" / "tree"
HOST = ROOT / "host"
PACKAGES = ("dscim.host", "dscim.gateware")
"""Packages whose rooms and loose modules count one by one; of others, the package as a whole."""

FRAGMENT = 60
"""Lines below which a module with a single importer is a fragment."""


def rooms() -> list[str]:
    """The packages of host/."""
    return sorted(path.parent.name for path in HOST.glob("*/__init__.py"))


def loose() -> list[str]:
    """The modules that lie in host/ itself."""
    return sorted(path.stem for path in HOST.glob("*.py") if path.stem != "__init__")


def graph(tree: Path = TREE) -> grimp.ImportGraph:
    """Who imports whom, of all modules of the package in the folder `tree`."""
    known = {name: sys.modules.pop(name) for name in list(sys.modules) if name == "dscim"}
    sys.path.insert(0, str(tree))  # grimp looks where Python would import it from
    try:
        return grimp.build_graph("dscim", cache_dir=None)
    finally:
        sys.path.remove(str(tree))
        sys.modules.update(known)


def source(module: str) -> Path:
    """The file of a module."""
    place = TREE.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def room_of(module: str) -> str:
    """The room or loose module that a module belongs to."""
    parts = module.split(".")
    return ".".join(parts[: 3 if ".".join(parts[:2]) in PACKAGES else 2])


def circular(arrows: grimp.ImportGraph) -> list[str]:
    """The modules that import themselves by way of others."""
    return sorted(
        module
        for module in arrows.modules
        if any(
            arrows.chain_exists(importer=imported, imported=module)
            for imported in arrows.find_modules_directly_imported_by(module) - {module}
        )
    )


def squashed(arrows: grimp.ImportGraph) -> grimp.ImportGraph:
    """The same arrows between rooms and loose modules; changes `arrows`."""
    for room in sorted({room_of(module) for module in arrows.modules}):
        if room not in (*PACKAGES, "dscim") and room in arrows.modules:
            arrows.squash_module(room)
    return arrows


def fragments(arrows: grimp.ImportGraph) -> list[str]:
    """Modules of fewer than FRAGMENT lines that a single other one imports."""
    return sorted(
        module
        for module in arrows.modules
        if not arrows.find_children(module)
        and len(arrows.find_modules_that_directly_import(module)) == 1
        and len(source(module).read_text().splitlines()) < FRAGMENT
    )


def kinds() -> set[str]:
    """The names of the classes of nodes: `Node` and all that derive from it."""
    classes: dict[str, set[str]] = {}
    for path in (HOST / "network").glob("*.py"):
        for item in ast.walk(ast.parse(path.read_text())):
            if isinstance(item, ast.ClassDef):
                classes[item.name] = {ast.unparse(base) for base in item.bases}
    known = {"Node"}
    while more := {name for name, bases in classes.items() if bases & known} - known:
        known |= more
    return known


def kind_checks() -> Counter[str]:
    """By file: the lines on which `isinstance` asks for a kind of node."""
    asked = kinds()
    lines: Counter[str] = Counter()
    for path in sorted(HOST.rglob("*.py")):
        for item in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(item, ast.Call)
                and ast.unparse(item.func) == "isinstance"
                and {getattr(part, "id", "") for part in ast.walk(item.args[1])} & asked
            ):
                lines[path.relative_to(ROOT).as_posix()] += 1
    return lines


def main() -> None:
    """Prints each figure with what it is made of."""
    files = graph()
    in_circles = circular(files)
    small = fragments(files)
    between = circular(squashed(graph()))
    checks = kind_checks()
    for what, found in (
        ("rooms in host/", rooms()),
        ("loose modules in host/", loose()),
        ("rooms and packages in circles", between),
        ("files in circles", in_circles),
        (f"modules under {FRAGMENT} lines with one importer", small),
    ):
        print(f"{len(found):4} {what}: {', '.join(found) or 'none'}")
    where = ", ".join(f"{name} {count}" for name, count in checks.items()) or "none"
    print(f"{checks.total():4} lines with isinstance on kinds of nodes: {where}")


if __name__ == "__main__":
    main()
