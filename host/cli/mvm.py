"""`dscim mvm`: computes one matrix product of .npy files, and its error."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8, Int64
from dscim.console import Report
from dscim.errors import UserError
from dscim.files import load_int8, save_array, save_json
from dscim.gateware.specs import MAX_DEPTH, ProductSpec, describe, table_gain
from dscim.host.cli.arithmetic_options import (
    ArithmeticOptions,
    MacroOptions,
    product_spec,
    soc_for,
)
from dscim.host.cli.common_options import ReportOptions, report_of
from dscim.host.cli.options import Command, option, output_file
from dscim.host.cli.target_options import TargetOptions, open_device, target_option
from dscim.host.golden.reference import product as reference_product

Sums = npt.NDArray[np.int64] | npt.NDArray[np.float64]


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
    target: str = target_option("ref")


def run(options: Options) -> int:
    """Computes and writes the product, and prints its error relative to the exact product."""
    report = report_of(options)
    x, w = _operands(options, report)
    product = dataclasses.replace(product_spec(options), activation_shift=options.activation_shift)
    spec = soc_for(product, options)
    with open_device(options, spec, report) as device:
        done = device.multiply(x, w, product, options.zero_point)
        crossed = dataclasses.asdict(device.link.statistics)
    exact = reference_product(x, w, ProductSpec(exact=True), options.zero_point)
    save_array(options.output, done.values.astype(np.float64))
    result = {
        "shape": [*x.shape, w.shape[1]],
        "target": options.target,
        "product": product.to_json(),
        "macro": spec.macro.to_json(),
        "zero_point": options.zero_point,
        **_errors(done.values, exact, x.shape[1]),
    }
    gain = 1.0 if product.exact else table_gain(product.sequence, product.samples)
    if gain != 1:
        result["with_gain"] = {
            "gain": gain,
            **_errors(done.values.astype(np.float64) * gain, exact, x.shape[1]),
        }
    if options.target != "ref":
        result["counters"] = dataclasses.asdict(done.counters)
        result["link"] = crossed
    save_json(options.json, result)
    _print(report, product, result)
    return 0


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


def _errors(values: Sums, exact: Int64, depth: int) -> dict[str, float]:
    """RMSE in product units and in % of K * 65536, and the exact product's RMS."""
    error = float(np.sqrt(np.mean((values - exact).astype(np.float64) ** 2)))
    signal = float(np.sqrt(np.mean(exact.astype(np.float64) ** 2)))
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
