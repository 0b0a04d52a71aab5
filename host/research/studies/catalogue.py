"""The studies by name; a study's module is imported only when it is needed."""

import importlib

from dscim.errors import UserError
from dscim.host.research.studies.study import Study

NAMES = ("rmse", "beyond", "saturation", "sparsity", "length", "area", "energy", "faults", "models")
"""All studies, in the order of the paper's argument; each is `STUDY` in the module of its name."""


def study(name: str) -> Study:
    """The study `name`; UserError, with the existing names, if there is none."""
    if name not in NAMES:
        raise UserError(f"There is no study {name!r}; choose one of {', '.join(NAMES)}, or all.")
    found: Study = importlib.import_module(f"dscim.host.research.studies.{name}").STUDY
    return found
