"""`dscim mvm`: computes one matrix product of .npy files, and its error."""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dscim.arrays import Int8, Int64
from dscim.console import Report
from dscim.errors import UserError
from dscim.files import load_int8, save_array, save_json
from dscim.gateware.specs import MAX_DEPTH, ProductSpec, SocSpec, describe, table_gain
from dscim.host.cli.arithmetic_options import (
    ArithmeticOptions,
    MacroOptions,
    product_spec,
    soc_for,
)
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.entry import FAILED
from dscim.host.cli.options import Command, option, output_file
from dscim.host.cli.target_options import TargetOptions, check_trace, open_device, target_option
from dscim.host.golden.emulator import product as emulator_product
from dscim.progress import Progress

EXACT = ProductSpec(exact=True)

BLOCK = 1024
"""Rows whose error is computed at a time."""


@dataclass(frozen=True, kw_only=True)
class Options(ArithmeticOptions, MacroOptions, TargetOptions, ReportOptions):
    """The options of `dscim mvm`."""

    activations: Path = option("X.npy", "activations, (M, K) int8")
    weights: Path = option("W.npy", "weights, (K, N) int8")
    output: Path = output_file("Y.npy", "product to write, (M, N) float64, in product units")
    zero_point: int = option(
        "Z", "integer that stands for an activation of 0, int8", default=0, within=(-128, 127)
    )
    activation_shift: int = option(
        "E", "bits by which activations are shifted, 0 to 3; needs the signed mode split", default=0
    )
    compare: bool | None = option(
        "",
        "compare the target's product with the emulator's (default, except for the target ref); "
        "for ref, also run the device's own steps, which take far longer than the emulator",
        default=None,
        action=argparse.BooleanOptionalAction,
    )
    target: str = target_option("ref")


def run(options: Options) -> int:
    """Computes and writes the product, and prints its error relative to the exact product.

    Exit status 0 unless --compare finds a value that differs.
    """
    report = report_of(options)
    x, w = _operands(options, report)
    product = dataclasses.replace(product_spec(options), activation_shift=options.activation_shift)
    spec = soc_for(product, options)
    check_trace(options)
    compare = options.target != "ref" if options.compare is None else options.compare
    result: dict[str, Any] = {
        "shape": [*x.shape, w.shape[1]],
        "target": options.target,
        "product": product.to_json(),
        "macro": spec.macro.to_json(),
        "zero_point": options.zero_point,
    }
    with report.progress() as step:
        values = None
        if compare or options.target != "ref":
            values = _on_device(options, spec, x, w, product, result, report, step)
        if compare or values is None:
            expected = _emulated("emulator", x, w, product, options.zero_point, step)
            values = expected if values is None else values
            result["compared"] = values.size if compare else 0
            result["differing"] = int((values != expected).sum())
        exact = _emulated("exact product", x, w, EXACT, options.zero_point, step)
    save_array(options.output, values.astype(np.float64))
    result |= _errors(values, exact, x.shape[1], 1.0)
    gain = 1.0 if product.exact else table_gain(product.sequence, product.samples)
    if gain != 1:
        result["with_gain"] = {"gain": gain, **_errors(values, exact, x.shape[1], gain)}
    save_json(options.json, result)
    _print(report, product, result)
    return FAILED if result.get("differing") else 0


def _on_device(
    options: Options,
    spec: SocSpec,
    x: Int8,
    w: Int8,
    product: ProductSpec,
    result: dict[str, Any],
    report: Report,
    step: Progress,
) -> Int64:
    """The product by the target's own steps; adds its counters to `result`."""
    with open_device(options, spec, report) as device:
        done = device.multiply(
            x,
            w,
            product,
            options.zero_point,
            lambda part, parts: step(f"parts on {options.target}", part, parts),
        )
        if options.target != "ref":
            result["counters"] = dataclasses.asdict(done.counters)
            result["link"] = dataclasses.asdict(device.link.statistics)
    return done.values


def _emulated(
    what: str, x: Int8, w: Int8, product: ProductSpec, zero_point: int, step: Progress
) -> Int64:
    return emulator_product(x, w, product, zero_point, lambda done, total: step(what, done, total))


def _operands(options: Options, report: Report) -> tuple[Int8, Int8]:
    """The operands, checked against each other."""
    x = load_int8(options.activations, "an activation matrix", ("M", "K"), report.note)
    w = load_int8(options.weights, "a weight matrix", ("K", "N"), report.note)
    if x.shape[1] != w.shape[0]:
        raise UserError(
            f"'{options.activations}' has K = {x.shape[1]} columns but "
            f"'{options.weights}' has {w.shape[0]} rows; they must be equal."
        )
    if x.shape[1] > MAX_DEPTH:
        raise UserError(
            f"K = {x.shape[1]} inputs are more than {MAX_DEPTH}, beyond which 32 bits "
            "could wrap; split the product along K."
        )
    return x, w


def _errors(values: Int64, exact: Int64, depth: int, gain: float) -> dict[str, float]:
    """RMSE of gain * values in product units and in % of K * 65536, and the exact product's RMS."""
    squares = np.zeros(2)
    for rows in range(0, len(values), BLOCK):
        true = exact[rows : rows + BLOCK].astype(np.float64)
        error = gain * values[rows : rows + BLOCK] - true
        squares += (error**2).sum(), (true**2).sum()
    error, signal = np.sqrt(squares / values.size).tolist()
    return {"rmse": error, "rmse_percent": 100 * error / (depth * 65536), "exact_rms": signal}


def _print(report: Report, product: ProductSpec, result: dict[str, Any]) -> None:
    m, k, n = result["shape"]
    report.say(f"({m}, {k}) x ({k}, {n}) on {result['target']}: {describe(product)}")
    report.say(
        f"RMSE against the exact product: {result['rmse']:.6g} product units, "
        f"{result['rmse_percent']:.4f} % of K * 65536 "
        f"(RMS of the exact product: {result['exact_rms']:.6g})"
    )
    if "with_gain" in result:
        scaled = result["with_gain"]
        report.say(
            f"With the gain of {scaled['gain']:g} that this table is designed for (not applied to "
            f"the output): {scaled['rmse']:.6g}, {scaled['rmse_percent']:.4f} %"
        )
    if result.get("compared"):
        differing = result["differing"]
        report.say(
            f"{result['compared']} values were compared with the emulator: "
            + (f"{differing} DIFFER." if differing else "all agree.")
        )
    elif result["target"] == "ref":
        report.say("computed by the emulator; --compare also runs the device's own steps on ref")
    if "counters" in result:
        counted = result["counters"]
        report.say(
            f"{counted['cycles_busy']} cycles, {counted['products']} products of the "
            f"macro, {counted['bytes_written']} bytes written, "
            f"{counted['bytes_read']} read"
        )


COMMAND = Command(
    Options, run, "mvm --activations x.npy --weights w.npy --output y.npy --length 64"
)
