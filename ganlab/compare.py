"""`python -m ganlab.compare DIR`: which arm is better, at what, by how much and how surely, in pairs of equal seed."""

import contextlib

from ganlab.cli.destination import check_archive, check_report
from ganlab.cli.exit import Parser, one_line, path
from ganlab.report.terminal import print_places, print_report
from ganlab.runs.result import ResultError
from ganlab.study.archive import ENDING, is_archive, open_archive, write_archive
from ganlab.study.compare import BASELINE, compare_study


def main() -> None:
    """Read the command line; print the comparison, or one line of error with exit status 2."""
    parser = Parser(
        prog="ganlab.compare",
        description="Compare the arms of a study: runs of equal seed are paired, p values come from permutation tests. "
        "Prints the verdict and writes DIR/report: report.html, report.md, scores.csv, verdict.json, figures. Of an "
        f"archive STUDY{ENDING} the report goes to STUDY-report beside it.",
        epilog="Examples: python -m ganlab.compare outputs/upsampling_digits --reference transpose; "
        "python -m ganlab.compare experiments/upsampling/cifar10/runs.tar.xz",
    )
    parser.add_argument(
        "directory", metavar="DIR", type=path,
        help="folder with runs anywhere beneath it, such as outputs/STUDY; or an archive that --archive wrote",
    )  # fmt: skip
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
    parser.add_argument(
        "--archive", metavar=f"FILE{ENDING}", type=path,
        help="also pack all runs of DIR into one file, without their networks, which compare opens again",
    )  # fmt: skip
    options = parser.parse_args()
    folder = options.directory
    packed = is_archive(folder)
    report = folder.with_name(f"{folder.name.removesuffix(ENDING)}-report") if packed else folder / "report"
    with one_line(), contextlib.ExitStack() as opened:
        if options.archive:
            check_archive("--archive", options.archive)
        if packed:
            folder = opened.enter_context(open_archive(folder))
            check_report(report)
        try:
            study = compare_study(folder, options.metric, options.reference, options.leave_out)
        except ResultError as error:
            raise ResultError(
                f"{error} ({report} is from an earlier comparison)" if report.is_dir() else str(error)
            ) from None
        print_report(study, options.all)
        from ganlab.report.figures import shown_files  # draws figures, for which the printed report need not wait
        from ganlab.report.writing import write_report

        print_places(write_report(study, report), None if packed else folder)
        if options.archive:
            write_archive(folder, options.archive, shown_files(study))
            print(f"all runs are in {options.archive}", flush=True)


if __name__ == "__main__":
    main()
