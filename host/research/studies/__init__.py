"""Tables and figures of DS-CIM, each computed by one command and compared with the paper.

A study is one declaration (`study.Study`): published values, aims, resumable cells, a table and a
figure. `catalogue` has their names; `runner` computes them, `output` writes them.
"""

from dscim.host.research.studies.catalogue import NAMES, study
from dscim.host.research.studies.runner import Outcome, run
from dscim.host.research.studies.study import Aim, Cell, Column, Published, Row, Study

__all__ = ["NAMES", "Aim", "Cell", "Column", "Outcome", "Published", "Row", "Study", "run", "study"]
