"""Export a run's generator: `python -m ganlab.export RUN [--format FORMAT] [--out PATH]`."""

import fnmatch
import os
from pathlib import Path
from typing import Any

from ganlab.cli.destination import check_parent
from ganlab.cli.exit import Parser, one_line, path, step_of
from ganlab.config import RunConfig
from ganlab.data.sources import describe_classes
from ganlab.errors import ConfigError, nearest
from ganlab.exports import formats
from ganlab.exports.formats import Interface
from ganlab.run.sampler import open_sampler
from ganlab.runs.folder import read_config
from ganlab.runs.result import RESULT, read_result

_LATENTS = 16  # images to compare a file with the original


def main() -> None:
    """The command line; exit status 2 for a wrong setting, 1 if the export fails or is not the same function."""
    parser = Parser(
        "ganlab.export",
        description="Export the averaged generator (EMA) of a run's newest good checkpoint. The file is opened "
        "without ganlab, and its images are compared with the original's on 16 latents.",
        epilog="Example: python -m ganlab.export outputs/quick/upsample-seed1 --format onnx",
    )
    parser.add_argument("run", type=path, metavar="RUN", help="folder of a run, finished or running")
    parser.add_argument("--format", default="keras", help="keras (default), saved_model, onnx or litert")
    parser.add_argument("--out", type=path, help="output file, for saved_model a folder (default: in RUN)")
    parser.add_argument("--step", type=step_of, help="the step of a checkpoint, or best (default: the newest)")
    options = parser.parse_args()
    os.environ["CUDA_VISIBLE_DEVICES"] = ""  # a GPU rounds to TF32, which would hide differences
    with one_line():
        print(export(options.run, options.format, options.out, options.step))


def export(run: Path, name: str, out: Path | None, step: int | str | None = None) -> str:
    """Write and check one file; returns lines that say where it is, how exact, and how to open it."""
    if name not in formats.FORMATS:
        raise ConfigError(f"--format={name} is unknown; {nearest(name, formats.FORMATS)}")
    suffix = formats.FORMATS[name].suffix
    if out is not None:
        if name != "saved_model" and out.suffix != suffix:
            proposal = out.with_suffix(suffix) if out.name else f"generator{suffix}"
            raise ConfigError(f"--out={out} does not have the suffix of {name} files; use {proposal}")
        _refuse_existing(out)
        check_parent("--out", out)
    if name == "saved_model":
        _refuse_pattern(out or run)
    config = read_config(run)
    if why := formats.refusal(name, config.generator):
        raise ConfigError(f"--format={name} cannot hold generator={config.generator.name}: it lacks {why}; "
                          "use --format=keras or --format=saved_model")  # fmt: skip
    if modules := formats.missing(name):
        raise ConfigError(f"--format={name} needs {', '.join(modules)}; pip install 'ganlab-keras[export]'")
    sampler, step = open_sampler(run, step)
    generator, latents = sampler.generator, sampler.latents("latents/export", _LATENTS)
    if out is None:
        out = run / f"generator-step-{step:08d}{suffix}"
        _refuse_existing(out)
        check_parent("--out", out)
    interface = _interface(run, config, generator, step)
    difference = formats.export(name, generator, latents, out, formats.page(name, interface, out.name))
    return (
        f"the generator of step {step}: {out}\n"
        f"opened without ganlab, {_LATENTS} images differ from the original by at most {difference:.1e}\n"
        f"{interface.latents}\n{interface.images}\nto use it, in Python:\n\n"
        f"{formats.usage(name, interface, str(out.resolve()))}"
    )


def _interface(run: Path, config: RunConfig, generator: Any, step: int) -> Interface:
    """What people must know about this generator to use it."""
    size, classes = config.generator.latent_size, config.classes
    return Interface(
        f"Generator {config.generator.name} of ganlab after {step} steps on {config.dataset.name}, seed {config.seed}",
        _trained_on(run, config),
        size,
        classes,
        describe_classes(config.dataset, list(range(classes))),
        tuple(generator.output_shape[1:]),
        config.generator.output == "tanh",
    )


def _trained_on(run: Path, config: RunConfig) -> str:
    """Where the images of a run come from; only a finished run knows all of it."""
    data: dict[str, Any] = read_result(run / RESULT).data or {} if (run / RESULT).exists() else {}
    source = data.get("source") or getattr(config.dataset, "source", None) or f"dataset={config.dataset.name}"
    unknown = "unknown" if data else "not recorded, as the run had not finished"
    licence = data.get("licence") or getattr(config.dataset, "licence", None) or unknown
    count = f"{data['train']:,} images of " if "train" in data else ""
    checksum = f", sha256 {data['sha256']}" if "sha256" in data else ""
    return f"{count}{source}; licence {licence}{checksum}"


def _refuse_existing(out: Path) -> None:
    if os.path.lexists(out):
        raise ConfigError(f"--out={out} exists and is not overwritten; delete it or give another name")


def _refuse_pattern(place: Path) -> None:
    """Refuse a path that TensorFlow, which takes it as a pattern, would not find."""
    text = str(place.resolve())
    if "\\" in text or not fnmatch.fnmatchcase(text, text):
        raise ConfigError(
            f"{place} cannot hold a SavedModel: TensorFlow takes [ ] and \\ in a path as a pattern, and would not find "
            "it; use --out=PATH without them"
        )


if __name__ == "__main__":
    main()
