"""`python -m ganlab.compare DIR`: which arm is better, at what, by how much and how surely, in pairs of equal seed."""

from pathlib import Path

from ganlab.cli.exit import Parser, one_line, path
from ganlab.report.terminal import print_places, print_report
from ganlab.runs.result import ResultError
from ganlab.study.compare import BASELINE, compare_study


def main() -> None:
    """Read the command line; print the comparison, or one line of error with exit status 2."""
    parser = Parser(
        prog="ganlab.compare",
        description="Compare the arms of a study: runs of equal seed are paired, p values come from permutation tests. "
        "Prints the verdict and writes DIR/report: report.html, report.md, scores.csv, verdict.json, figures.",
        epilog="Example: python -m ganlab.compare outputs/upsampling_digits --reference transpose",
    )
    parser.add_argument(
        "directory", metavar="DIR", type=path, help="folder with runs anywhere beneath it, such as outputs/STUDY"
    )
    parser.add_argument(
        "--metric",
        metavar="NAME",
        help="primary metric, instead of comparison.quality, which the study fixed before its runs",
    )
    parser.add_argument(
        "--reference",
        metavar="ARM",
        help=f"the arm that the others are compared with (default: {BASELINE} if there is one, else the first)",
    )
    parser.add_argument("--all", action="store_true", help="print every metric, even if they fill more than a screen")
    parser.add_argument(
        "--leave-out", nargs="+", default=[], metavar="CELL",
        help="runs that are not compared, by folder below DIR or quoted pattern; the report says so",
    )  # fmt: skip
    options = parser.parse_args()
    with one_line():
        try:
            study = compare_study(options.directory, options.metric, options.reference, options.leave_out)
        except ResultError as error:
            earlier = Path(options.directory, "report")
            raise ResultError(
                f"{error} ({earlier} is from an earlier comparison)" if earlier.is_dir() else str(error)
            ) from None
        print_report(study, options.all)
        from ganlab.report.writing import write_report  # draws figures, for which the printed report need not wait

        print_places(study, write_report(study))


if __name__ == "__main__":
    main()
