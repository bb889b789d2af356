"""Measure a run's newest checkpoint under a protocol: `python -m ganlab.evaluate RUN [metrics=full ...]`."""

from pathlib import Path

from ganlab.cli.destination import check_measures
from ganlab.cli.exit import Parser, one_line, path, step_of
from ganlab.cli.help import describe_counts, measures_table
from ganlab.config import Metrics
from ganlab.errors import ConfigError
from ganlab.files import make_folder, sole_writer, write_json
from ganlab.run.inputs import check_inputs
from ganlab.run.sampler import open_sampler
from ganlab.runs.folder import finished_result, last_step, read_config, record_measures
from ganlab.runs.grids import save_png


def main() -> None:
    """The command line; exit status 2 for a wrong setting, 1 where the run has no usable checkpoint."""
    parser = Parser(
        "ganlab.evaluate",
        description="Measure the averaged generator (EMA) of a run's newest good checkpoint under a protocol. Real "
        "training images are measured in its place too, as a reference. Results go to RUN/evaluations.",
        epilog="Example: python -m ganlab.evaluate outputs/quick/upsample-seed1 metrics.final.images=5000",
    )
    parser.add_argument("run", type=path, metavar="RUN", help="folder of a run, finished or running")
    parser.add_argument(
        "settings", nargs="*", default=[], metavar="metrics.NAME=VALUE",
        help="metrics=quick, metrics=full or metrics=study, with settings of it; settings alone are of metrics=full "
        "(default: the run's own measures if they are thorough ones, else metrics=full)",
    )  # fmt: skip
    parser.add_argument(
        "--record", action="store_true", help="also write the measures to RUN/result.json, for ganlab.compare"
    )
    parser.add_argument("--step", type=step_of, help="the step of a checkpoint, or best (default: the newest)")
    options = parser.parse_args()
    with one_line():
        if options.record and options.step is not None:
            raise ConfigError(
                f"--step={options.step} cannot be combined with --record, which takes the end of a run; "
                "leave one of them out"
            )
        print(measure_again(options.run, options.settings, record=options.record, step=options.step))


def protocol(recorded: Metrics, overrides: list[str]) -> Metrics:
    """The settings of measuring that the command line asks for; raises ConfigError.

    recorded: those of the run. overrides: what was typed.
    """
    from ganlab.cli.hydra import plan

    for text in overrides:
        if not text.startswith(("metrics=", "metrics.")):
            raise ConfigError(f"{text} is not a setting of measuring; use metrics=full or metrics.NAME=VALUE")
    if not any(text.startswith("metrics=") for text in overrides):
        if recorded.name == "full" and not overrides:
            return recorded
        overrides = ["metrics=full", *overrides]
    metrics = plan(overrides, multirun=False).cells[0].config.metrics
    if metrics.name == "none":
        raise ConfigError("metrics=none measures nothing; use metrics=full or metrics=quick")
    return metrics


def measure_again(directory: Path, overrides: list[str], *, record: bool, step: int | str | None = None) -> str:
    """Measure, write the results to `evaluations/` in the run's folder, and return them as text."""
    from ganlab.run.measuring import open_images, prepare  # with SciPy, which --help should not wait for

    config = read_config(directory)
    config = config.model_copy(update={"metrics": protocol(config.metrics, overrides)})
    if record:  # an earlier checkpoint would stand for the end
        step = last_step(config, finished_result(directory))
    check_measures(directory)
    check_inputs(config)
    sampler, step = open_sampler(directory, step)
    images = open_images(config)
    for note in images.notes:
        print(note, flush=True)
    measuring = prepare(config, images, say=lambda line: print(line, flush=True))
    measures = measuring.full or measuring.quick
    measured = measuring.measure_full(sampler) if measuring.full else measuring.measure_quick(sampler)
    folder = directory / "evaluations" / f"step-{step:08d}-{measures.protocol['name']}-{measures.protocol['hash']}"
    results = {
        "step": step,
        "metrics": measured.values,
        "spread": measured.std,
        **({"draws": measured.draws} if measured.draws else {}),
        **({"ladder": measuring.ladder} if measuring.ladder else {}),
        "real_against_real": measures.real_against_real,
        "nulls": measures.nulls,
        "protocol": measures.protocol,
    }
    pictures = measuring.draw(sampler, measured)
    with sole_writer(folder.parent):
        make_folder(folder)
        write_json(folder / "measures.json", results)
        for name, picture in pictures.items():
            save_png(folder / f"{name}.png", picture)
    if record:
        record_measures(directory, results)
    listing = measures_table(measured.values, measured.std, measures.real_against_real, measures.nulls)
    return f"step {step}; {describe_counts(measures.protocol)}\n{listing}\neverything is in {folder}"


if __name__ == "__main__":
    main()
