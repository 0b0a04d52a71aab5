"""A LLaMA-architecture language model whose matrix products run on DS-CIM."""

from dscim.host.language.aligned import Aligned, AlignedWeights
from dscim.host.language.llama import Llama, Multiply, plain
from dscim.host.language.model_file import ADVICE, find_model, load_model
from dscim.host.language.tokenizer import Tokenizer

__all__ = ["ADVICE", "Aligned", "AlignedWeights", "Llama", "Multiply", "Tokenizer", "find_model",
           "load_model", "plain"]
