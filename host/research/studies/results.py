"""The tables of studies for pages, from the JSON of full runs in host/data/study-*.json."""

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from dscim.errors import UserError
from dscim.gateware.specs import TABLES
from dscim.markdown import markdown

Json = dict[str, Any]


def _find(facts: Json, **fields: Any) -> Json | None:
    """The first row in which all `fields` have these values; None without one."""
    return next(
        (row for row in facts["rows"] if all(row.get(name) == fields[name] for name in fields)),
        None,
    )


def _row(facts: Json, **fields: Any) -> Json:
    """As `_find`; UserError if the results have no such row."""
    row = _find(facts, **fields)
    if row is None:
        raise UserError(f"The results of the study {facts['study']!r} have no row with {fields}.")
    return row


def _shown(row: Json | None, field: str) -> str:
    """An error in % of full scale or an SNR in dB, as text; "-" without a row."""
    if row is None:
        return "-"
    return f"{row[field]:.4f} %" if field == "rmse" else f"{row[field]:.2f} dB"


def _rmse(facts: Json) -> str:
    """The median of random LFSRs and the counter, compared with the paper."""
    pair, own = "lfsr, one pair, 8-bit truth", "lfsr, a pair per group, truncated truth"
    lines: dict[str, Json] = {
        "one pair of LFSRs, median": {"sequence": pair, "signed": "offset", "shift": 0},
        "an LFSR pair per group, truncated truth, median": {
            "sequence": own,
            "signed": "offset",
            "shift": 0,
        },
        "best LFSRs found": {"sequence": "lfsr, best found", "signed": "offset", "shift": 0},
        "counter, offset": {"sequence": "counter", "signed": "offset", "shift": 0},
        "counter, split, e = 1": {"sequence": "counter", "signed": "split", "shift": 1},
    }
    rows = [["paper", "0.74 %", "3.81 %"]]
    for title, fields in lines.items():
        row = [
            _row(facts, operands="uniform", variant=variant, length=length, **fields)
            for variant, length in (("ds-cim1", 256), ("ds-cim2", 64))
        ]
        rows.append([title, *(f"{each['rmse']:.3f} %" for each in row)])
    return markdown(["RMSE, uniform INT8, 128 rows", "DS-CIM1, L = 256", "DS-CIM2, L = 64"], rows)


def _beyond(facts: Json) -> str:
    """The built sequences at the lengths of the aims."""
    places = {
        f"{operands}, {variant.upper()}, L = {length}": (operands, variant, length, field)
        for operands, variant, length, field in (
            ("uniform", "ds-cim1", 256, "rmse"),
            ("uniform", "ds-cim2", 64, "rmse"),
            ("Gaussian", "ds-cim1", 256, "scaled_snr"),
            ("post-ReLU", "ds-cim1", 256, "scaled_snr"),
            ("Gaussian", "ds-cim1", 1024, "scaled_snr"),
        )
    }
    rows = [
        [
            idea,
            *(
                _shown(
                    _find(facts, idea=idea, operands=operands, variant=variant, length=length),
                    field,
                )
                for operands, variant, length, field in places.values()
            ),
        ]
        for idea in ("counter, best e", *(f"table {name}" for name in TABLES), "points, free gain")
    ]
    rows.append(["aim", *(_aim(facts, title) for title in places)])
    return markdown(["sequence", *places], rows)


def _aim(facts: Json, title: str) -> str:
    """The aim whose name begins with a column's title, "-" without one."""
    for aim in facts["aims"]:
        if aim["what"].startswith(title):
            bound = ">=" if aim["bound"] == "at least" else "<="
            return f"{bound} {aim['aim']:g} {aim['unit'].split()[0]}"
    return "-"


def _ideas(facts: Json) -> str:
    """Every idea that was optimised, RMSE for uniform operands and SNR for the others."""
    places = (
        ("uniform", 256, "rmse"),
        ("uniform", 64, "rmse"),
        ("Gaussian", 256, "snr"),
        ("Gaussian", 64, "snr"),
        ("post-ReLU", 256, "snr"),
    )
    tried = {"study": facts["study"], "rows": [row for row in facts["rows"] if "seed" in row]}
    rows = []
    for idea in dict.fromkeys(row["idea"] for row in tried["rows"]):
        values = [
            _shown(_find(tried, idea=idea, operands=operands, length=length), field)
            for operands, length, field in places
        ]
        built = _row(tried, idea=idea, operands="uniform", length=256)["built"]
        rows.append([idea, *values, "yes" if built else "no"])
    titles = [
        f"{operands}, {'DS-CIM2' if length == 64 else 'DS-CIM1'}, L = {length}"
        for operands, length, _ in places
    ]
    return markdown(["idea", *titles, "built"], rows)


def _sparsity(facts: Json) -> str:
    """RMSE over the share of zeros, DS-CIM1."""
    zeros = sorted({row["zeros"] for row in facts["rows"]})
    rows = [
        [
            way,
            *(
                f"{_row(facts, variant='ds-cim1', way=way, zeros=share)['rmse']:.2f} %"
                for share in zeros
            ),
        ]
        for way in dict.fromkeys(row["way"] for row in facts["rows"])
    ]
    return markdown(["RMSE, DS-CIM1, L = 256; zero activations", *(f"{z} %" for z in zeros)], rows)


def _saturation(facts: Json) -> str:
    """How many of the ones of 128 rows an OR counts per point, DS-CIM1."""
    ones = list(dict.fromkeys(row["ones"] for row in facts["rows"] if row["variant"] == "ds-cim1"))
    rows = [
        [
            way,
            *(
                f"{_row(facts, variant='ds-cim1', way=way, ones=count)['counted']:.2f}"
                for count in ones
            ),
        ]
        for way in dict.fromkeys(row["way"] for row in facts["rows"])
    ]
    return markdown(
        ["counted, L = 256; ones of a group per point", *(f"{n:.2f}" for n in ones)], rows
    )


def _length(facts: Json) -> str:
    """Accuracy at the paper's lengths, the best of calibrated and fine-tuned; engine cycles."""
    places = [(variant, length) for variant in ("ds-cim1", "ds-cim2") for length in (64, 128, 256)]
    published = {each["what"]: each["value"] for each in facts["published"]}
    paper = [
        published[f"ResNet18 on CIFAR-10, {variant}, L = {length}"] for variant, length in places
    ]
    rows = [["paper, ResNet18 on CIFAR-10", "-", *(f"{value:.2f} %" for value in paper)]]
    for name in dict.fromkeys(row["network"] for row in facts["rows"]):
        exact = _row(facts, network=name, variant="exact INT8", length=None)
        mine = [
            _row(facts, network=name, variant=variant, length=length) for variant, length in places
        ]
        best = [max(row["calibrated"] or 0, row["fine_tuned"] or 0) for row in mine]
        rows.append(
            [name, f"{100 * exact['as_is']:.2f} %", *(f"{100 * value:.2f} %" for value in best)]
        )
        if "engine_cycles" in exact:
            rows.append(["its cycles", *(f"{row['engine_cycles']:,}" for row in (exact, *mine))])
    titles = [f"{variant.upper()}, L = {length}" for variant, length in places]
    return markdown(["network", "exact", *titles], rows)


def _faults(facts: Json) -> str:
    """Accuracy over the rate."""
    rates = sorted({row["rate"] for row in facts["rows"]})
    rows = []
    for product, place in dict.fromkeys((row["product"], row["place"]) for row in facts["rows"]):
        shares = [
            _row(facts, product=product, place=place, rate=rate)["accuracy"] for rate in rates
        ]
        rows.append([f"{product}, {place}", *(f"{100 * share:.1f} %" for share in shares)])
    return markdown(["bits flipped", *(f"{rate:.0e}" for rate in rates)], rows)


def _area(facts: Json) -> str:
    """Transistors, relative to one copy, and per product."""
    first = {row["design"]: row["total"] for row in reversed(facts["rows"])}
    rows = [
        [
            row["design"],
            str(row["copies"]),
            row["points"],
            f"{row['total']:,}",
            f"{row['total'] / first[row['design']]:.2f}",
            f"{row['per_product_rate']:,.0f}",
        ]
        for row in facts["rows"]
        if row["copies"] in (1, 4, 64)
    ]
    tool = f"transistors by Yosys {facts['rows'][0]['yosys']}"
    return markdown(
        ["design", "copies", "points", tool, "relative to one copy", "per product per cycle"], rows
    )


def _energy(facts: Json) -> str:
    """Pins per product, relative to the exact macro, and the model's estimates."""
    exact = next(row["pins"] for row in facts["rows"] if row["design"] == "exact INT8, parallel")
    rows = [
        [
            row["design"],
            str(row["length"] or "-"),
            "-" if row["snr"] is None else f"{row['snr']:.1f} dB",
            f"{row['pins']:,.1f}",
            f"{row['pins'] / exact:.3f}",
            f"{row['tops_per_watt']:,.1f}",
            f"{row['tops_per_mm2']:.2f}",
            f"{row['tops_per_watt_1b']:,.0f}",
            f"{row['tops_per_mm2_1b']:,.0f}",
        ]
        for row in facts["rows"]
    ]
    published = {
        ("1b x 1b" in each["what"], each["unit"]): each["value"] for each in facts["published"]
    }
    values = [
        f"{published[narrow, unit]:,}"
        for narrow in (False, True)
        for unit in ("TOPS/W", "TOPS/mm2")
    ]
    rows.append(["paper, DS-CIM2", "64", "-", "-", "-", *values])
    return markdown(
        [
            "design",
            "L",
            "SNR",
            "pins per product",
            "relative to exact",
            "TOPS/W, INT8",
            "TOPS/mm2, INT8",
            "TOPS/W, 1b x 1b",
            "TOPS/mm2, 1b x 1b",
        ],
        rows,
    )


def _models(facts: Json) -> str:
    """The language model by arithmetic."""
    rows = [
        [row["product"], f"{row['perplexity']:,.1f}", f"{row['agreement']:.1%}", row["prompts"]]
        for row in facts["rows"]
        if row.get("perplexity")
    ]
    return markdown(
        ["SmolLM2-135M, FP8 (E4M3)", "perplexity", "same next token as FP32", "prompts"], rows
    )


BLOCKS: dict[str, tuple[str, Callable[[Json], str]]] = {
    "rmse": ("rmse", _rmse),
    "beyond": ("beyond", _beyond),
    "ideas": ("beyond", _ideas),
    "sparsity": ("sparsity", _sparsity),
    "saturation": ("saturation", _saturation),
    "length": ("length", _length),
    "faults": ("faults", _faults),
    "area": ("area", _area),
    "energy": ("energy", _energy),
    "models": ("models", _models),
}
"""The study and the function that makes the table, by the block's name."""


def shown(block: str) -> str:
    """A block's Markdown from the shipped JSON; UserError for an unknown block or without JSON."""
    if block not in BLOCKS:
        raise UserError(f"There is no block {block!r}; choose one of {', '.join(BLOCKS)}.")
    name, table = BLOCKS[block]
    path = resources.files("dscim.host") / "data" / f"study-{name}.json"
    if not path.is_file():
        raise UserError(
            f"There are no results of the study {name!r} to show; run `dscim study "
            f"{name} --json host/data/study-{name}.json`."
        )
    facts = json.loads(path.read_text())
    if facts["quick"]:
        raise UserError(f"'{path}' is from a quick run; pages show full runs.")
    return table(facts)
