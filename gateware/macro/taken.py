"""The window in use: its rows, of which a step uses the first of each group."""

from litex.gen import LiteXModule
from migen import If, Signal


class TakenRows(LiteXModule):
    """The rows of the window that was taken. Each group's rows can be rotated.

    moves: the numbers of rows by which a group can be rotated; none if it never is.

    | port   | dir | meaning                                                             |
    |--------|-----|---------------------------------------------------------------------|
    | rotate | in  | a bit for each of `moves`: row r takes row r + move of its group    |
    | groups | out | for each group its rows; rows that are not used are 0               |
    """

    def __init__(self, spec, window, banks, moves):
        self.rotate = Signal(max(1, len(moves)))
        self.groups = []

        # # #

        for group in range(spec.groups):
            first = group * spec.or_width
            rows = [Signal(window.width, name=f"row{first + r}") for r in range(spec.or_width)]
            for r, row in enumerate(rows):
                turned = [
                    If(self.rotate[k], row.eq(rows[(r + move) % spec.or_width]))
                    for k, move in enumerate(moves)
                ]
                self.sync += [
                    *turned,
                    If(
                        window.take,
                        row.eq(window.rows[first + r]),
                        If(~banks.used_next[first + r], row.eq(0)),
                    ),
                ]
            self.groups.append(rows)
