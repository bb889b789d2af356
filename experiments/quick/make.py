"""The verdict in the README and the tutorial, and the picture of the report, from the runs of the demonstration:

python -m ganlab.train experiment=quick
python -m ganlab.compare outputs/quick
python experiments/quick/make.py outputs/quick

The picture needs Chromium. curves.png and bands.png are screenshots of the two links that the dashboard prints.
"""

import contextlib
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ganlab.report.terminal import print_report
from ganlab.study.compare import compare_study

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
PAGES = (ROOT / "README.md", ROOT / "docs" / "tutorial.md")


def verdict(study: Path) -> str:
    """What `ganlab.compare` says first: the answer, and the endpoints that the study named before its runs."""
    found = compare_study(study)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        print_report(found)
    others = [endpoint.metric for endpoint in found.endpoints if endpoint not in found.stated]
    lines = [line.rstrip() for line in out.getvalue().strip("\n").splitlines()]
    end = next(place for place, line in enumerate(lines) if line.partition(":")[0] in others)
    return "\n".join(["```", *lines[: end - 1], "```"])


def main() -> None:
    study = Path(sys.argv[1])
    block = f"<!-- comparison -->\n{verdict(study)}\n<!-- end -->"
    for page in PAGES:
        text, found = re.subn(r"<!-- comparison -->.*?<!-- end -->", lambda _: block, page.read_text(), flags=re.S)
        assert found == 1, page
        page.write_text(text)
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("the pages are written; for the picture of the report install Chromium")
    page = (study / "report" / "report.html").absolute().as_uri()
    subprocess.run([browser, "--headless=new", "--no-sandbox", "--hide-scrollbars", "--window-size=1100,1150",
                    f"--screenshot={HERE / 'report.png'}", page], check=True, stderr=subprocess.DEVNULL)  # fmt: skip


if __name__ == "__main__":
    main()
