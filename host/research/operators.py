"""The table of operators that can be imported, for pages, from their declarations."""

from dscim.errors import UserError
from dscim.host.compile.lower import where
from dscim.host.network import Node
from dscim.host.network.importers.supported import Supported
from dscim.markdown import markdown

COLUMNS = ("operation", "TensorFlow Lite", "ONNX", "on the device", "on the host", "limits")


def shown(name: str) -> str:
    """The table; UserError for a name other than "import"."""
    if name != "import":
        raise UserError(f"there is no table of operators {name!r}; there is one of 'import'.")
    from dscim.host.network.importers.onnx_operators import OPERATORS as ONNX  # noqa: PLC0415
    from dscim.host.network.importers.tflite_operators import OPERATORS as LITE  # noqa: PLC0415

    titles = dict.fromkeys(each.title for each in (*LITE.values(), *ONNX.values()))
    return markdown(COLUMNS, [_row(title, LITE, ONNX) for title in titles])


def _row(title: str, lite: dict[str, Supported], onnx: dict[str, Supported]) -> tuple[str, ...]:
    """The row of an operation."""
    found = [
        {name: each for name, each in table.items() if each.title == title}
        for table in (lite, onnx)
    ]
    kinds: dict[type[Node], None] = {}
    limits: dict[str, list[str]] = {}
    for names in found:
        for name, each in names.items():
            kinds |= dict.fromkeys(each.kinds)
            if each.limits:
                limits.setdefault(each.limits, []).append(name)
    places = {
        place: ", ".join(kind.__name__ for kind in kinds if where(kind) == place)
        for place in ("device", "host")
    }
    return (
        title,
        *(", ".join(f"`{name}`" for name in names) for names in found),
        places["device"],
        places["host"],
        "; ".join(
            text if len(names) == sum(map(len, found)) else f"{', '.join(names)}: {text}"
            for text, names in limits.items()
        ),
    )
