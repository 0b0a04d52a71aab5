"""Plots with matplotlib: the loss of a training, accuracy over cost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dscim.errors import UserError
from dscim.files import replacing


def losses(history: Sequence[Mapping[str, float]], title: str, path: Path) -> None:
    """Plots the loss per epoch; UserError as for `front`."""
    figure, axes = _figure(path)
    axes.plot(range(1, len(history) + 1), [entry["loss"] for entry in history])
    axes.set(title=title, xlabel="epoch", ylabel="loss")
    _save(figure, path)


def front(
    methods: Mapping[str, Sequence[tuple[float, float, float]]],
    measure: str,
    title: str,
    path: Path,
) -> None:
    """Plots accuracy in percent over a cost, one colour per method, and the Pareto front of all.

    methods: (cost, mean accuracy, deviation), the latter two 0 to 1, by the method's name.
    UserError without matplotlib, or for an unknown suffix of `path`.
    """
    figure, axes = _figure(path)
    for name, points in methods.items():
        costs, means, spreads = zip(*points, strict=True)
        axes.errorbar(
            costs,
            [100 * mean for mean in means],
            [100 * s for s in spreads],
            fmt="o",
            capsize=3,
            label=name,
        )
    best = pareto([(cost, mean) for points in methods.values() for cost, mean, _ in points])
    axes.plot(
        [cost for cost, _ in best],
        [100 * mean for _, mean in best],
        "k--",
        linewidth=0.8,
        label="Pareto front",
    )
    axes.set(title=title, xlabel=measure, ylabel="accuracy (%)")
    axes.legend()
    _save(figure, path)


def pareto(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The (cost, accuracy) pairs that no other pair dominates, the cheapest first."""
    kept: list[tuple[float, float]] = []
    for cost, accuracy in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or accuracy > kept[-1][1]:
            kept.append((cost, accuracy))
    return kept


def _figure(path: Path) -> tuple[Any, Any]:
    """A new figure and its axes; UserError without matplotlib, or for an unknown suffix."""
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            "plots need matplotlib: install it with `pip install dscim[studies]`, or "
            "leave --plot out."
        ) from error
    if path.suffix not in (".png", ".svg", ".pdf"):
        raise UserError(f"'{path}' cannot be a plot; use a name that ends in .png, .svg or .pdf.")
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> None:
    """Writes the figure."""
    with replacing(path) as new:
        figure.savefig(new)
