"""Study `models`: the kinds of networks in the paper, including an FP8 language model."""

import json
from collections.abc import Iterator
from functools import cache, partial
from hashlib import sha256
from importlib import resources
from pydoc_data.topics import topics
from typing import Any

import numpy as np

from dscim.errors import UserError
from dscim.gateware.specs import ProductSpec, SequenceSpec, SocSpec, table_sequence
from dscim.host.research.language import ADVICE, Aligned, find_model, load_model, plain
from dscim.host.research.language.score import Score
from dscim.host.research.studies.study import Cell, Column, Row, Rows, Study

TOPICS = ("naming", "objects", "exceptions", "typesmapping")
"""Pages of Python's documentation, which ship with Python; one window of text from each."""

WINDOWS, TOKENS = (1, 4), (64, 128)

PROMPTS = (
    "The capital of France is",
    "Water boils at a temperature of one hundred degrees",
    "The opposite of hot is",
    "Once upon a",
    "Two plus two is equal to",
    "The sun rises in the",
    "A week has seven",
    "The largest ocean on Earth is the",
)

MODEL = "SmolLM2-135M, FP8 (E4M3)"


def _ds_cim(or_width: int, length: int, table: str | None = None) -> ProductSpec:
    """A product of aligned mantissas, which fill 7 bits of both operands: activation shift 1."""
    sequence = SequenceSpec() if table is None else table_sequence(table)
    return ProductSpec(or_width, length, sequence, activation_shift=1)


EXACT = ProductSpec(exact=True)

ARITHMETICS: dict[str, tuple[ProductSpec | None, bool, bool]] = {
    "FP32": (None, False, True),
    "exact": (EXACT, False, True),
    "DS-CIM1, L = 256": (_ds_cim(16, 256), False, False),
    "DS-CIM1, L = 1024": (_ds_cim(16, 1024), False, True),
    "DS-CIM2, L = 256": (_ds_cim(64, 256), False, False),
    "DS-CIM1, L = 256, table": (_ds_cim(16, 256, "gaussian"), False, False),
    "DS-CIM1, L = 1024, table": (_ds_cim(16, 1024, "gaussian"), False, False),
    "exact, turned": (EXACT, True, False),
    "DS-CIM1, L = 1024, turned": (_ds_cim(16, 1024), True, False),
    "DS-CIM2, L = 256, table, turned": (_ds_cim(64, 256, "gaussian"), True, False),
    "DS-CIM1, L = 256, table, turned": (_ds_cim(16, 256, "gaussian"), True, True),
    "DS-CIM1, L = 256, scaled table, turned": (_ds_cim(16, 256, "gaussian-scaled"), True, True),
    "DS-CIM1, L = 1024, table, turned": (_ds_cim(16, 1024, "gaussian"), True, False),
}
"""Arithmetic (None: float32), whether a Hadamard matrix turns tiles, whether --quick runs it."""

TABLES = {
    "MobileNetV2, 250 photographs": "imagenet-mobilenetv2",
    "ResNet-8, CIFAR-10 (JPEG)": "cifar10-resnet8",
}

NOT_RUN = {
    "ResNet18, CIFAR-10": "`dscim dev train all --experiment cifar10-resnet18` takes days "
    "on two cores; ResNet-8 was run instead",
    "ResNet-50, ImageNet": "no weights available; `dscim import` takes a user's own as ONNX QDQ",
}
"""Networks of the paper that this study did not run, and the reasons."""


def cells(quick: bool) -> list[Cell]:
    """The language model in each arithmetic, a block on the simulated SoC, image networks."""
    found = [Cell("networks of images", _images)]
    try:
        find_model()
    except UserError:
        return [Cell(f"{MODEL}, without its file", _missing), *found]
    shape = WINDOWS[not quick], TOKENS[not quick], 4 if quick else len(PROMPTS)
    language = [
        Cell(f"{name}, {shape}", partial(_scored, name, *shape))
        for name, (_, _, soon) in ARITHMETICS.items()
        if soon or not quick
    ]
    if not quick:
        language.append(Cell("block 0 on the simulated SoC", _on_soc))
    return [*language, *found]


def _missing() -> Iterator[Row]:
    yield {"model": MODEL, "product": "-", "note": f"not run: {ADVICE}"}


@cache
def _texts(windows: int, tokens: int, prompts: int) -> list[Any]:
    """Tokens of the windows, then those of the prompts."""
    _, tokenizer = load_model(find_model())
    texts = [tokenizer.encode(topics[name])[:tokens] for name in TOPICS[:windows]]
    return [
        np.array(each)
        for each in (*texts, *(tokenizer.encode(prompt) for prompt in PROMPTS[:prompts]))
    ]


@cache
def _said(name: str, windows: int, tokens: int, prompts: int) -> tuple[Score, list[str]]:
    """The score of an arithmetic over the windows, and the next token after each prompt."""
    model, tokenizer = load_model(find_model())
    texts = _texts(windows, tokens, prompts)
    spec, turned, _ = ARITHMETICS[name]
    logits = model.logits(texts, plain if spec is None else Aligned(spec, turned))
    following = [tokenizer.decode([int(each[-1].argmax())]) for each in logits[windows:]]
    return Score.of(logits[:windows], texts[:windows]), following


def _scored(name: str, windows: int, tokens: int, prompts: int) -> Iterator[Row]:
    score, following = _said(name, windows, tokens, prompts)
    truth, wanted = _said("FP32", windows, tokens, prompts)
    spec, turned, _ = ARITHMETICS[name]
    same = sum(a == b for a, b in zip(following, wanted, strict=True))
    text = np.concatenate(_texts(windows, tokens, prompts)[:windows])
    yield {
        "model": MODEL,
        "product": name,
        "perplexity": score.perplexity,
        "agreement": score.agreement(truth),
        "prompts": f"{same} of {prompts}",
        "positions": windows * tokens,
        "turned": turned,
        "settings": None if spec is None else spec.to_json(),
        "next_tokens": dict(zip(PROMPTS, following, strict=False)),
        "text": sha256(text.astype("<i4").tobytes()).hexdigest()[:16],
    }


def _on_soc() -> Iterator[Row]:
    """All seven matrices of the first block on the default device in Verilator."""
    from dscim.host.device.target import open_target  # noqa: PLC0415 - a simulator
    from dscim.host.research.language.device import run_block  # noqa: PLC0415 - a simulator

    model, _ = load_model(find_model())
    tokens = _texts(1, TOKENS[0], 1)[1][:4]
    with open_target("sim", SocSpec()) as device:
        run = run_block(device, model, tokens, _ds_cim(16, 256))
    yield {
        "model": MODEL,
        "product": "DS-CIM1, L = 256",
        "sums": run.sums,
        "differing": run.differing,
        "cycles": run.cycles,
        "products": run.products,
        "positions": len(tokens),
        "note": f"block 0, its 7 matrices, on the simulated SoC: "
        f"{run.differing} of {run.sums} sums of tiles differ from the reference",
    }


def _images() -> Iterator[Row]:
    """Measured accuracies of image networks, and the networks that were not run."""
    for model, file in TABLES.items():
        path = resources.files("dscim.host") / "data" / f"{file}-table.json"
        for row in json.loads(path.read_text())["rows"]:
            spec = ProductSpec.from_json(row["settings"])
            variant = "DS-CIM1" if spec.or_width == 16 else "DS-CIM2"
            yield {
                "model": model,
                "product": "exact INT8" if spec.exact else f"{variant}, L = {spec.length}",
                "settings": row["settings"],
                **{field: row.get(field) for field in ("as_is", "calibrated", "fine_tuned")},
            }
    for model, why in NOT_RUN.items():
        yield {"model": model, "product": "-", "note": f"not run: {why}"}


def figure(drawing: Any, rows: Rows) -> None:
    """Perplexity and agreement of the language model by arithmetic."""
    mine = [row for row in rows if row.get("perplexity")][::-1]
    if not mine:
        drawing.text(0.5, 0.5, "The language model was not run: its file is missing.", ha="center")
        return
    names = [row["product"] for row in mine]
    colours = [
        "C2" if row["turned"] else "C1" if "DS-CIM" in row["product"] else "C0" for row in mine
    ]
    left, right = drawing.subplots(1, 2, sharey=True)
    bars = left.barh(names, [row["perplexity"] for row in mine], color=colours)
    left.bar_label(
        bars,
        [format(row["perplexity"], ",.1f" if row["perplexity"] < 1e5 else ".1e") for row in mine],
        fontsize=7,
        padding=2,
    )
    left.set(xscale="log", xlabel="perplexity; dotted: chance")
    left.axvline(49152, color="k", linestyle=":", linewidth=0.8)
    left.margins(x=0.25)
    right.barh(names, [100 * row["agreement"] for row in mine], color=colours)
    right.set(xlabel="same next token as FP32 (%)", xlim=(0, 105))
    for panel in (left, right):
        panel.grid(alpha=0.3, axis="x")
        panel.tick_params(labelsize=8)
    drawing.suptitle("SmolLM2-135M in FP8; green: turned tiles", fontsize=10)


STUDY = Study(
    name="models",
    title="Networks of the paper's kinds",
    question="SmolLM2-135M-Instruct (published in 4 bits; dequantised it is the FP32 row) with "
    "weights and activations of the seven matrices per block in FP8 (E4M3). Mantissas are "
    "aligned to int8 in tiles of 128 rows as in arXiv 2602.05743, and multiplied exactly or by the "
    "bit-exact emulator of DS-CIM, without calibration or training; the products inside "
    "attention, norms and the output are float32. Perplexity is measured on the first tokens of "
    "pages of Python's documentation. Turned: a Hadamard matrix is applied to each tile of both "
    "operands first, which keeps the products and makes operands "
    "Gaussian, as the sequence table gaussian requires; scaled table: gaussian-scaled, "
    "with its gain. Accuracies of image networks are read from host/data/*-table.json. The paper "
    "ran FP8 LLaMA-7B and INT8 ResNet50; its figures for them are unknown here.",
    published=(),
    minutes=(2, 16),
    seeds={},
    columns=(
        Column("model", "model"),
        Column("product", "product"),
        Column("perplexity", "perplexity", ",.2f"),
        Column("agreement", "agreement", ".1%"),
        Column("prompts", "prompts"),
        Column("as_is", "as is", ".2%"),
        Column("calibrated", "calibrated", ".2%"),
        Column("fine_tuned", "fine-tuned", ".2%"),
        Column("note", "note"),
    ),
    cells=cells,
    figure=figure,
)
