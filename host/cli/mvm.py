"""`dscim mvm`: one matrix product of .npy files on a target, held against the exact one."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dscim.arrays import Int8, Int64
from dscim.console import Report
from dscim.errors import UserError
from dscim.files import check_writable, load_int8, save_array, save_json
from dscim.gateware.specs import MAX_DEPTH, ProductSpec, describe, table_gain
from dscim.host.cli.options import (
    add_arithmetic,
    add_macro,
    add_report,
    add_target,
    open_device,
    product_spec,
    report_of,
    soc_for,
)
from dscim.host.golden.reference import product as reference_product

Sums = npt.NDArray[np.int64] | npt.NDArray[np.float64]


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `dscim mvm`."""
    files = parser.add_argument_group("files")
    files.add_argument(
        "--activations", type=Path, required=True, metavar="X.npy", help="(M, K) int8"
    )
    files.add_argument("--weights", type=Path, required=True, metavar="W.npy", help="(K, N) int8")
    files.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="Y.npy",
        help="written as (M, N) float64, in product units",
    )
    add_arithmetic(parser)
    parser.add_argument(
        "--zero-point",
        type=int,
        default=0,
        metavar="Z",
        help="of the activations, int8 (default 0)",
    )
    parser.add_argument(
        "--activation-shift",
        type=int,
        default=0,
        metavar="E",
        help="0 to 3, with the signed mode split (default 0)",
    )
    add_macro(parser)
    add_target(parser, "ref")
    add_report(parser)


def run(options: argparse.Namespace) -> int:
    """Computes, writes the product and prints how far it is from the exact one."""
    report = report_of(options)
    x, w = _operands(options)
    product = dataclasses.replace(product_spec(options), activation_shift=options.activation_shift)
    spec = soc_for(product, options)
    for path in (options.output, options.json):
        check_writable(path)
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


def _operands(options: argparse.Namespace) -> tuple[Int8, Int8]:
    """The operands, checked against each other."""
    x = load_int8(options.activations, "an activation matrix", ("M", "K"))
    w = load_int8(options.weights, "a weight matrix", ("K", "N"))
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
    if not -128 <= options.zero_point <= 127:
        raise UserError(f"Zero point {options.zero_point} is outside -128..127.")
    return x, w


def _errors(values: Sums, exact: Int64, depth: int) -> dict[str, float]:
    """RMSE in product units and in % of K * 65536, and the exact product's own size."""
    error = float(np.sqrt(np.mean((values - exact).astype(np.float64) ** 2)))
    signal = float(np.sqrt(np.mean(exact.astype(np.float64) ** 2)))
    return {"rmse": error, "rmse_percent": 100 * error / (depth * 65536), "exact_rms": signal}


def _print(report: Report, product: ProductSpec, result: dict[str, Any]) -> None:
    m, k, n = result["shape"]
    report.say(f"({m}, {k}) x ({k}, {n}) on {result['target']}: {describe(product)}")
    report.say(
        f"RMSE against the exact product: {result['rmse']:.6g} product units, "
        f"{result['rmse_percent']:.4f} % of K * 65536 "
        f"(the exact product's own rms is {result['exact_rms']:.6g})"
    )
    if "with_gain" in result:
        scaled = result["with_gain"]
        report.say(
            f"With the gain of {scaled['gain']:g} that this table is made for, which the "
            f"output is without: {scaled['rmse']:.6g}, {scaled['rmse_percent']:.4f} %"
        )
    if "counters" in result:
        counted = result["counters"]
        report.say(
            f"{counted['cycles_busy']} cycles, {counted['products']} products of the "
            f"macro, {counted['bytes_written']} bytes written, "
            f"{counted['bytes_read']} read"
        )
