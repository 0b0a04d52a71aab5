"""DS-CIM from numpy to gateware: this package holds the few modules that all rooms use."""

import typing

__version__: str

if not typing.TYPE_CHECKING:

    def __getattr__(name: str) -> str:
        """`__version__`, read from the installed package only when it is used."""
        if name == "__version__":
            from importlib.metadata import version  # noqa: PLC0415

            return version("dscim")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
