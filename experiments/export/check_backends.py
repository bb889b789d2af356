"""Does the `.keras` file of every arm open without ganlab on Keras' other backends, as the same function?

    python experiments/export/check_backends.py jax=PYTHON torch=PYTHON

PYTHON is the interpreter of an environment that has Keras and that backend; each gives one column. The arms have three
stages, batch normalisation and random weights everywhere, biases and running statistics included, so that nothing is
right by being zero. Exit status 1 where a difference is above 1e-5.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np

from ganlab import device
from ganlab.cli.choices import options
from ganlab.cli.hydra import plan
from ganlab.exports import formats

SETTINGS = (
    "dataset.size=32",
    "generator.base_filters=16",
    "generator.stages=[[12,2],[8,2],[null,2]]",
    "generator.normalization=batch",
    "generator.activation=leaky_relu",
    "generator.output=linear",
)
LATENTS, TOLERANCE = 16, 1e-5


def build(arm: str):
    """A generator of an arm with random weights in all places."""
    from ganlab.run.build import build_gan

    generator = build_gan(plan([f"generator={arm}", *SETTINGS], multirun=False).cells[0].config).generator
    random = np.random.default_rng(0)
    for variable in generator.variables:
        value = variable.numpy()
        if variable.name == "moving_variance":
            variable.assign(random.uniform(0.5, 2, value.shape))
        elif variable.ndim == 1:
            variable.assign(value + random.normal(0, 0.2, value.shape))
    return generator


def images_of(backend: str, python: str, model: Path, latents: Path) -> np.ndarray:
    """What the file makes of the latents in an interpreter of its own."""
    target = latents.with_name(f"{backend}.npy")
    line = [python, "-P", "-c", formats.script("keras", str(model)), str(latents), str(target)]
    subprocess.run(line, env=os.environ | {"KERAS_BACKEND": backend}, check=True, capture_output=True)
    return np.load(target)


def main() -> None:
    """Print a table with one line for each arm."""
    backends = dict(argument.split("=", 1) for argument in sys.argv[1:])
    device.start("float32")
    from ganlab.exports.portable import save_portable

    backends = {"tensorflow": sys.executable, **backends}
    print(f"| `generator=` | largest value | {' | '.join(backends)} |\n|---|---|{'---|' * len(backends)}")
    worst = 0.0
    latents = np.random.default_rng(1).normal(size=(LATENTS, 64)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        model, source = Path(folder, "generator.keras"), Path(folder, "latents.npy")
        np.save(source, latents)
        for arm in options("generator"):
            generator = build(arm)
            wanted = generator(latents, training=False).numpy()
            save_portable(model, generator)
            scale = max(1.0, float(np.abs(wanted).max()))
            apart = [
                float(np.abs(images_of(backend, python, model, source) - wanted).max()) / scale
                for backend, python in backends.items()
            ]
            worst = max(worst, *apart)
            print(
                f"| {arm} | {np.abs(wanted).max():.1f} | {' | '.join(f'{value:.1e}' for value in apart)} |", flush=True
            )
    sys.exit(0 if worst <= TOLERANCE else 1)


if __name__ == "__main__":
    main()
