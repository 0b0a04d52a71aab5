"""What pages show of studies, from the JSON of full runs in host/data/study-*.json."""

import json
from collections.abc import Callable
from importlib import resources
from typing import Any

from dscim.errors import UserError
from dscim.gateware.specs import TABLES
from dscim.markdown import markdown

Json = dict[str, Any]


def _rmse(facts: Json) -> str:
    """The median of random LFSRs and the counter beside the paper, uniform operands."""
    chosen = (
        ("one pair of LFSRs, median", "lfsr, one pair, 8-bit truth", "offset", 0),
        (
            "an LFSR pair a group, truncated truth, median",
            "lfsr, a pair a group, truncated truth",
            "offset",
            0,
        ),
        ("best LFSRs found", "lfsr, best found", "offset", 0),
        ("counter, offset", "counter", "offset", 0),
        ("counter, split, e = 1", "counter", "split", 1),
    )
    places = (("ds-cim1", 256), ("ds-cim2", 64))
    rows = [["paper", "0.74 %", "3.81 %"]]
    for title, sequence, signed, shift in chosen:
        values = [
            next(
                row["rmse"]
                for row in facts["rows"]
                if (
                    row["operands"],
                    row["variant"],
                    row["length"],
                    row["sequence"],
                    row["signed"],
                    row.get("shift"),
                )
                == ("uniform", *place, sequence, signed, shift)
            )
            for place in places
        ]
        rows.append([title, *(f"{value:.3f} %" for value in values)])
    return markdown(["RMSE, uniform INT8, 128 rows", "DS-CIM1, L = 256", "DS-CIM2, L = 64"], rows)


def _beyond(facts: Json) -> str:
    """The built sequences at the lengths of the aims."""
    places = (
        ("uniform", "ds-cim1", 256, "rmse"),
        ("uniform", "ds-cim2", 64, "rmse"),
        ("Gaussian", "ds-cim1", 256, "scaled_snr"),
        ("post-ReLU", "ds-cim1", 256, "scaled_snr"),
        ("Gaussian", "ds-cim1", 1024, "scaled_snr"),
    )
    rows = []
    for title in ("counter, best e", *(f"table {name}" for name in TABLES), "points, free gain"):
        line = [title]
        for operands, variant, length, field in places:
            value = next(
                (
                    row[field]
                    for row in facts["rows"]
                    if (row["operands"], row["variant"], row["length"], row["idea"])
                    == (operands, variant, length, title)
                ),
                None,
            )
            form = "{:.4f} %" if field == "rmse" else "{:.2f} dB"
            line.append("-" if value is None else form.format(value))
        rows.append(line)
    rows.append(
        [
            "aim",
            *(
                f"{'>=' if aim['bound'] == 'at least' else '<='} {aim['aim']:g} "
                f"{aim['unit'].split()[0]}"
                for aim in facts["aims"]
            ),
            "-",
        ]
    )
    return markdown(
        [
            "sequence",
            *(
                f"{operands}, {variant.upper()}, L = {length}"
                for operands, variant, length, _ in places
            ),
        ],
        rows,
    )


def _ideas(facts: Json) -> str:
    """Every idea that was optimised, RMSE for uniform operands and SNR for the others."""
    places = (
        ("uniform", 256, "rmse"),
        ("uniform", 64, "rmse"),
        ("Gaussian", 256, "snr"),
        ("Gaussian", 64, "snr"),
        ("post-ReLU", 256, "snr"),
    )
    found = {
        (row["idea"], row["operands"], row["length"]): row for row in facts["rows"] if "seed" in row
    }
    rows = []
    for idea in dict.fromkeys(idea for idea, _, _ in found):
        line = [idea]
        for operands, length, field in places:
            row = found.get((idea, operands, length))
            form = "{:.4f} %" if field == "rmse" else "{:.2f} dB"
            line.append("-" if row is None else form.format(row[field]))
        rows.append([*line, "yes" if found[idea, *places[0][:2]]["built"] else "no"])
    return markdown(
        [
            "idea",
            *(
                f"{operands}, {'DS-CIM2' if length == 64 else 'DS-CIM1'}, L = {length}"
                for operands, length, _ in places
            ),
            "built",
        ],
        rows,
    )


def _sparsity(facts: Json) -> str:
    """RMSE over the share of zeros, DS-CIM1."""
    rows = [row for row in facts["rows"] if row["variant"] == "ds-cim1"]
    zeros = sorted({row["zeros"] for row in rows})
    ways = list(dict.fromkeys(row["way"] for row in rows))
    return markdown(
        ["RMSE, DS-CIM1, L = 256; zero activations", *(f"{z} %" for z in zeros)],
        [[way, *(f"{row['rmse']:.2f} %" for row in rows if row["way"] == way)] for way in ways],
    )


def _saturation(facts: Json) -> str:
    """What an OR of 128 rows counts of their ones, DS-CIM1: a share of the points."""
    rows = [row for row in facts["rows"] if row["variant"] == "ds-cim1"]
    ones = [row["ones"] for row in rows if row["way"] == rows[0]["way"]]
    ways = list(dict.fromkeys(row["way"] for row in rows))
    return markdown(
        ["counted, L = 256; ones of a group a point", *(f"{n:.2f}" for n in ones)],
        [[way, *(f"{row['counted']:.2f}" for row in rows if row["way"] == way)] for way in ways],
    )


def _length(facts: Json) -> str:
    """Accuracy at the paper's lengths, the best of calibrated and fine-tuned; engine cycles."""
    places = [(variant, length) for variant in ("ds-cim1", "ds-cim2") for length in (64, 128, 256)]
    paper = [f"{each['value']:.2f} %" for each in facts["published"]]
    rows = [["paper, ResNet18 on CIFAR-10", "-", *paper]]
    for name in dict.fromkeys(row["network"] for row in facts["rows"]):
        mine = {
            (row["variant"], row["length"]): row for row in facts["rows"] if row["network"] == name
        }
        best = [
            max(mine[place]["calibrated"] or 0, mine[place]["fine_tuned"] or 0) for place in places
        ]
        rows.append(
            [
                name,
                f"{100 * mine['exact INT8', None]['as_is']:.2f} %",
                *(f"{100 * value:.2f} %" for value in best),
            ]
        )
        if "engine_cycles" in mine[places[0]]:
            rows.append(
                [
                    "its cycles",
                    f"{mine['exact INT8', None]['engine_cycles']:,}",
                    *(f"{mine[place]['engine_cycles']:,}" for place in places),
                ]
            )
    return markdown(
        ["network", "exact", *(f"{variant.upper()}, L = {length}" for variant, length in places)],
        rows,
    )


def _faults(facts: Json) -> str:
    """Accuracy over the rate."""
    rates = sorted({row["rate"] for row in facts["rows"]})
    places = dict.fromkeys((row["product"], row["place"]) for row in facts["rows"])
    return markdown(
        ["bits flipped", *(f"{rate:.0e}" for rate in rates)],
        [
            [
                f"{product}, {place}",
                *(
                    f"{100 * row['accuracy']:.1f} %"
                    for row in facts["rows"]
                    if (row["product"], row["place"]) == (product, place)
                ),
            ]
            for product, place in places
        ],
    )


def _area(facts: Json) -> str:
    """Transistors against one copy, and a product's share."""
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
        ["design", "copies", "points", tool, "against one copy", "a product a cycle"], rows
    )


def _energy(facts: Json) -> str:
    """Pins a product, against the exact macro, and what the model's inputs make of them."""
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
    narrow, wide = (
        {
            each["unit"]: each["value"]
            for each in facts["published"]
            if ("1b x 1b" in each["what"]) is one
        }
        for one in (True, False)
    )
    rows.append(
        [
            "paper, DS-CIM2",
            "64",
            "-",
            "-",
            "-",
            *(f"{paper[unit]:,}" for paper in (wide, narrow) for unit in ("TOPS/W", "TOPS/mm2")),
        ]
    )
    return markdown(
        [
            "design",
            "L",
            "SNR",
            "pins a product",
            "against exact",
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
"""The study and what is shown of it, by the block's name."""


def shown(block: str) -> str:
    """A block's Markdown as the shipped JSON gives it; UserError for one without JSON."""
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
        raise UserError(f"'{path}' is of a quick run; results are of full ones.")
    return table(facts)
