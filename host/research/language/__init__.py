"""A language model of the LLaMA architecture whose matrix products run on DS-CIM."""

from dscim.host.research.language.aligned import Aligned, AlignedWeights
from dscim.host.research.language.llama import Llama, Multiply, load_model, plain
from dscim.host.research.language.model_file import ADVICE, find_model
from dscim.host.research.language.tokenizer import Tokenizer

__all__ = [
    "ADVICE",
    "Aligned",
    "AlignedWeights",
    "Llama",
    "Multiply",
    "Tokenizer",
    "find_model",
    "load_model",
    "plain",
]
