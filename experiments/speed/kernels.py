"""Which kernels XLA makes of a training step for an H100, found out without a GPU: how many, and which sums are slow.

    python experiments/speed/kernels.py                                    # 32 64 transpose mixed_bfloat16
    python experiments/speed/kernels.py 128 64 upsample float32 penalty=r1

TensorFlow's wheel for Linux holds all of XLA's compiler for GPUs; `kernels.cc` calls it. It takes g++ half a minute to
build that, once, into ganlab's cache. CUDA's toolkit must be installed too (ptxas, nvlink, libdevice), but no driver.
The program is the one of a run on a GPU, of the DCGAN of the other tables, under the flags of `ganlab/xla.py`. It is
compiled to the end, so this also says whether it can be.

An H100 has 132 processors, and a long sum in a few blocks of threads leaves most of them idle: such sums are listed.
This counts kernels and reads their grids; it measures no milliseconds. Nor does it try which of a library's algorithms
is fastest, as XLA does on a GPU, so products and convolutions may be others there.
"""

import argparse
import hashlib
import inspect
import math
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from costs import network
from gpu import OPERATORS, built
from turns import table

SOURCE = Path(__file__).with_suffix(".cc")
OF_LIBRARIES = {"Gemm": "matrix products", "CublasLtMatmul": "matrix products", "Convolution": "convolutions"}
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
LARGEST_BLOCK, FEW, LONG = 1024, 8, 512
MOVES = "pad|slice|concatenate|transpose|gather|scatter|copy"
"""XLA names a kernel by the operations in it."""


class Kernel(NamedTuple):
    """One launch. blocks: of its grid, of so many threads each. sums: how many numbers make one, and of what."""

    name: str
    blocks: int
    threads: int
    sums: list[tuple[int, str]]

    @property
    def kind(self) -> str:
        """What it mainly does; in a loop each thread sums a few numbers of its own."""
        if self.sums and not self.name.startswith("loop"):
            return "sums"
        return "patches, transposes and other moves" if re.search(MOVES, self.name) else "elementwise"

    @property
    def waits(self) -> bool:
        """Whether it takes long sums on a few of the GPU's 132 processors."""
        return self.threads == LARGEST_BLOCK and self.blocks <= FEW and max(self.sums, default=(0, ""))[0] >= LONG


# --- from settings to a program of XLA --------------------------------------------------------------------------------


def program(options: argparse.Namespace) -> bytes:
    """XLA's program of a call of 50 steps, as traced on a GPU, not optimised yet."""
    from ganlab import device

    device.start("float32")
    import keras
    import tensorflow as tf

    from ganlab.nets.convolution import products

    keras.config.set_dtype_policy(options.precision)  # afterwards: on a CPU float16 would be refused
    settings = [f"training.batch_size={options.batch}", f"generator={options.generator}", *options.settings]
    with products():
        _, steps = built([*network(options.size, 1), *settings], options.size)
        inside = _within(_within(_within(steps)["steps"].python_function)["some_more"])
        count = inside["steps_per_call"]
        places = inside["batches"].order(inside["gan"].step, count)
        lowered = inside["program"].experimental_get_compiler_ir(tf.constant(count, tf.int64), places, [])
    return lowered(stage="hlo_serialized")


def _within(function: Any) -> Any:
    return inspect.getclosurevars(function).nonlocals


# --- from there to kernels --------------------------------------------------------------------------------------------


def compiler() -> Path:
    """The program of `kernels.cc`, built unless that was done before; SystemExit where it cannot be."""
    import tensorflow as tf

    from ganlab import files

    include, library = Path(tf.sysconfig.get_include()), Path(tf.sysconfig.get_lib())
    said = "\n".join([SOURCE.read_text(), version("tensorflow"), str(library)])
    binary = files.cache_folder() / f"kernels-{hashlib.sha256(said.encode()).hexdigest()[:16]}"
    if binary.exists():
        return binary
    if not (library / "libtensorflow_cc.so.2").exists():
        raise SystemExit(f"TensorFlow in {library} has no libtensorflow_cc.so.2, which its wheels for Linux have")
    binary.parent.mkdir(parents=True, exist_ok=True)
    external = [include / "external" / part for part in ("com_google_protobuf", "highwayhash", "farmhash_archive/src")]
    with tempfile.TemporaryDirectory(dir=binary.parent) as folder:
        new = Path(folder) / "kernels"
        done = subprocess.run(
            ["g++", "-w", "-O0", "-std=c++17", "-DNDEBUG", *(f"-I{path}" for path in (include, *external)), SOURCE,
             "-o", new, f"-L{library}", "-Wl,--no-as-needed", "-l:libtensorflow_cc.so.2",
             "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{library}"], capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            wrong = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[-500:])
            raise SystemExit(f"g++ cannot build {SOURCE.name} against TensorFlow {version('tensorflow')}: {wrong}")
        new.rename(binary)
    return binary


def compiled(serialized: bytes) -> tuple[str, str]:
    """XLA's listing of what is launched, and its optimised program; SystemExit where it does not compile."""
    from ganlab.xla import GPU_FLAGS

    with tempfile.TemporaryDirectory() as folder:
        module = Path(folder) / "module.pb"
        module.write_bytes(serialized)
        flags = GPU_FLAGS | {"--xla_gpu_autotune_level": "0", "--xla_dump_to": folder, "--xla_dump_hlo_as_text": "true"}
        environment = {"XLA_FLAGS": " ".join(f"{name}={value}" for name, value in flags.items())}
        done = subprocess.run([compiler(), module], capture_output=True, text=True, env=os.environ | environment)
        if "Couldn't find a suitable version of" in done.stderr:
            raise SystemExit("XLA finds no ptxas and nvlink to finish its kernels with; install CUDA's toolkit")
        if done.returncode:
            raise SystemExit(f"XLA cannot compile this for a GPU: {done.stderr[-2000:]}")
        listing, optimised = (
            next(Path(folder).glob(f"*{end}.txt")).read_text() for end in ("thunk_sequence", "gpu_after_optimizations")
        )
    return listing, optimised


# --- what they are ----------------------------------------------------------------------------------------------------


def kernels(listing: str, optimised: str) -> list[Kernel]:
    """XLA's own kernels in a program, in the order of their launch."""
    computations = dict(re.findall(r"^(?:ENTRY )?%(\S+) \(.*?\{\n(.*?)^\}", optimised, re.DOTALL | re.MULTILINE))
    entry = re.findall(r"^ENTRY %(\S+)", optimised, re.MULTILINE)[0]
    launches = re.findall(r"kernel = (\w+), launch dimensions = blocks: \{(.*?)\}, threads/block: \{(\d+)", listing)
    return [
        Kernel(name, math.prod(map(int, blocks.split(","))), int(threads), _sums(fusion))
        for (name, blocks, threads), fusion in zip(launches, _fusions(computations, entry), strict=True)
    ]


def _fusions(computations: dict[str, str], name: str) -> Iterator[str]:
    """What each kernel of a computation computes, in order, those of its loops and branches included."""
    for line in computations[name].splitlines():
        called = re.findall(r"(?:condition|body|calls|\w+_computations?)=(\{.*?\}|\S+)", line)
        for inner in re.findall(r"%([\w.\-]+)", " ".join(called)):
            if " fusion(" in line:
                yield computations[inner]
            else:
                yield from _fusions(computations, inner)


def _sums(fusion: str) -> list[tuple[int, str]]:
    shapes = dict(re.findall(r"%(\S+) = (\w+\[[\d,]*\])", fusion))
    found = []
    for source, axes, place in re.findall(r' reduce\(%([\w.\-]+),.*?dimensions=\{([\d,]+)\}.*?op_name="(.*?)"', fusion):
        sizes = re.findall(r"\d+", shapes[source].partition("[")[2])
        found.append((math.prod(int(sizes[int(axis)]) for axis in axes.split(",")), f"{shapes[source]} in {place}"))
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", type=int, nargs="?", default=32, help="of the images")
    parser.add_argument("batch", type=int, nargs="?", default=64)
    parser.add_argument("generator", choices=OPERATORS, nargs="?", default="transpose", metavar="generator")
    parser.add_argument("precision", choices=PRECISIONS, nargs="?", default="mixed_bfloat16")
    parser.add_argument("settings", nargs="*", help="as on a command line of ganlab, such as penalty=r1")
    options = parser.parse_args()
    if shutil.which("g++") is None:
        raise SystemExit("there is no g++ to build kernels.cc with; install it")
    listing, optimised = compiled(program(options))
    own = kernels(listing, optimised)
    numbers = Counter(kernel.kind for kernel in own)
    for kind in re.findall(r"\d+: k(\w+)", listing):
        if kind not in ("Kernel", "While", "Conditional"):
            numbers[OF_LIBRARIES.get(kind, "copies and others")] += 1
    print(f"{options.size} pixels, batch {options.batch}, {options.generator}, {options.precision}: {len(own)} kernels "
          "of XLA's own, and calls of libraries\n")  # fmt: skip
    print("\n".join(table(("kind", "number"), [[kind, str(number)] for kind, number in numbers.most_common()])))
    waiting = [kernel for kernel in own if kernel.waits]
    print(f"\n{len(waiting)} take sums of {LONG} numbers and more in at most {FEW} blocks of {LARGEST_BLOCK} threads\n")
    rows = [[str(kernel.blocks), "; ".join(of for _, of in kernel.sums)] for kernel in waiting]
    print("\n".join(table(("blocks", "sums of"), rows)))


if __name__ == "__main__":
    main()
