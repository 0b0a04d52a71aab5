"""Compiles the kernels for this machine, once, into the cache, and loads them.

Without g++, or with DSCIM_KERNEL=none, there is no kernel and numpy computes the same bits.
DSCIM_KERNEL=plain compiles the kernel without vector instructions: the same bits, slower.
"""

import ctypes
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

from dscim.cache import build_beside, cache_folder, digest, forget_old, used
from dscim.errors import SimulationError
from dscim.host.golden.emulator.description import check_fields

SOURCES = tuple(Path(__file__).parent / name for name in ("kernel.cpp", "descent.cpp"))
LIBRARY = "kernel.so"
FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
NATIVE = "-march=native"


def kernel() -> ctypes.CDLL | None:
    """The compiled kernel; None if there is none: `why_no_kernel` gives the reason.

    SimulationError if its layers do not have the fields of `Description`.
    """
    loaded = _loaded(os.environ.get("DSCIM_KERNEL", ""))
    return loaded if isinstance(loaded, ctypes.CDLL) else None


def why_no_kernel() -> str | None:
    """One sentence on why numpy computes and how to change that; None if there is a kernel."""
    loaded = _loaded(os.environ.get("DSCIM_KERNEL", ""))
    return loaded if isinstance(loaded, str) else None


@cache
def _loaded(setting: str) -> ctypes.CDLL | str:
    """The library, or why there is none. setting: the value of DSCIM_KERNEL."""
    if setting == "none":
        return "The emulator computes in numpy, because DSCIM_KERNEL=none is set."
    compiler = shutil.which("g++")
    if compiler is None:
        return (
            "The emulator computes in numpy, many times slower, because there is no g++ to "
            "compile its kernel; install one (apt-get install g++)."
        )
    try:
        library = ctypes.CDLL(str(_built(compiler, plain=setting == "plain")))
    except (SimulationError, OSError) as error:
        return f"The emulator computes in numpy, many times slower: {error}"
    check_fields(library)
    for function in (library.dscim_run, library.dscim_sums, library.dscim_estimates):
        function.restype = None
        function.argtypes = [
            ctypes.c_void_p,
            ctypes.c_void_p,
            ctypes.c_int64,
            ctypes.c_int64,
            ctypes.c_void_p,
        ]
    library.dscim_descend.restype = None
    library.dscim_descend.argtypes = [
        ctypes.c_void_p,
        *[ctypes.c_int64] * 4,
        *[ctypes.c_void_p] * 7,
        ctypes.c_float,
    ]
    return library


def _built(compiler: str, *, plain: bool) -> Path:
    """The library's path; compiles it if it is not in the cache.

    The cache key covers the sources, the flags and the compiler's macros, which include its version
    and every instruction set of this machine. SimulationError with the compiler's message if it
    fails.
    """
    flags = [*FLAGS, *(["-DDSCIM_PLAIN"] if plain else [])]
    native = _macros(compiler, NATIVE)
    if native is not None:
        flags.append(NATIVE)
    macros = native if native is not None else _macros(compiler) or ""
    sources = [source.read_bytes() for source in SOURCES]
    home = cache_folder() / f"emulator-{digest([*sources, macros, *flags])}"
    if not (home / LIBRARY).exists():
        forget_old("emulator-*")
        with build_beside(home) as beside:
            command = [compiler, *flags, "-o", str(beside / LIBRARY), *map(str, SOURCES)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                first = (done.stderr.strip().splitlines() or ["it printed nothing"])[0]
                raise SimulationError(f"g++ failed to compile the kernel: {first}")
    used(home)
    return home / LIBRARY


def _macros(compiler: str, *flags: str) -> str | None:
    """The macros that the compiler defines with `flags`; None if it rejects them."""
    command = [compiler, *flags, "-dM", "-E", "-x", "c++", os.devnull]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None
