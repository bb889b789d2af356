"""`python -m ganlab.tune DIR`: which rate each arm of a tuning study does best with, and what to type for the study."""

import contextlib

from ganlab.cli.destination import check_archive
from ganlab.cli.exit import Parser, one_line, path
from ganlab.report.tuning import print_tuning, write_tuning
from ganlab.study.archive import ENDING, is_archive, open_archive, write_archive
from ganlab.study.tuning import tune_study


def main() -> None:
    """Read the command line; print what was found, or one line of error with exit status 2."""
    parser = Parser(
        prog="ganlab.tune",
        description="Read a sweep over generator, optimizer.g_learning_rate and seed: what each arm scores at each "
        "rate, its best rate, and the factors of the rates with which a study compares arms at their best. Every arm "
        "must have equal trials. Writes DIR/tuning.json; of an archive it only prints.",
        epilog="Examples: python -m ganlab.tune outputs/tuning_digits; "
        "python -m ganlab.tune experiments/upsampling/tuning_cifar10/trials.tar.xz",
    )
    parser.add_argument(
        "directory", metavar="DIR", type=path,
        help="folder of the sweep, such as outputs/STUDY; or an archive that --archive wrote",
    )  # fmt: skip
    parser.add_argument("--metric", metavar="NAME", help="decides, instead of comparison.quality")
    parser.add_argument(
        "--rate", metavar="RATE", type=float, help="the rate that all arms of the study have without factors "
        "(default: the middle one of those tried)",
    )  # fmt: skip
    parser.add_argument(
        "--study", metavar="STUDY", type=path, help="folder of a study: refuse it if it has runs with a seed of DIR"
    )
    parser.add_argument(
        "--archive", metavar=f"FILE{ENDING}", type=path,
        help="also pack all runs of DIR into one file, without their networks, which tune opens again",
    )  # fmt: skip
    options = parser.parse_args()
    folder, packed = options.directory, is_archive(options.directory)
    with one_line(), contextlib.ExitStack() as opened:
        if options.archive:
            check_archive("--archive", options.archive)
        if packed:
            folder = opened.enter_context(open_archive(folder))
        tuning = tune_study(folder, options.metric, options.rate, options.study)
        print_tuning(tuning)
        if not packed:
            print(f"everything is in {write_tuning(tuning)}")
        if options.archive:
            write_archive(folder, options.archive)
            print(f"all runs are in {options.archive}", flush=True)


if __name__ == "__main__":
    main()
