"""`python -m ganlab.tune DIR`: which rate each arm of a tuning study does best with, and what to type for the study."""

from ganlab.cli.exit import Parser, one_line, path
from ganlab.report.tuning import print_tuning, write_tuning
from ganlab.study.tuning import tune_study


def main() -> None:
    """Read the command line; print what was found, or one line of error with exit status 2."""
    parser = Parser(
        prog="ganlab.tune",
        description="Read a sweep over generator, optimizer.g_learning_rate and seed: what each arm scores at each "
        "rate, its best rate, and the factors of the rates with which a study compares arms at their best. Every arm "
        "must have equal trials. Writes DIR/tuning.json.",
        epilog="Example: python -m ganlab.tune outputs/tuning_digits",
    )
    parser.add_argument("directory", metavar="DIR", type=path, help="folder of the sweep, such as outputs/STUDY")
    parser.add_argument("--metric", metavar="NAME", help="decides, instead of comparison.quality")
    parser.add_argument(
        "--rate", metavar="RATE", type=float, help="the rate that all arms of the study have without factors "
        "(default: the middle one of those tried)",
    )  # fmt: skip
    parser.add_argument(
        "--study", metavar="STUDY", type=path, help="folder of a study: refuse it if it has runs with a seed of DIR"
    )
    choices = parser.parse_args()
    with one_line():
        tuning = tune_study(choices.directory, choices.metric, choices.rate, choices.study)
        print_tuning(tuning)
        print(f"everything is in {write_tuning(tuning)}")


if __name__ == "__main__":
    main()
