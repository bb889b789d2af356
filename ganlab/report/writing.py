"""From contents to files: each file is replaced as a whole, and the same study gives the same bytes."""

import base64
import csv
import html
import io
import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ganlab.files import make_folder, sole_writer, write_bytes, write_json
from ganlab.report.drawing import THEMES
from ganlab.report.page import Page, write_contents
from ganlab.report.sentences import answer
from ganlab.report.verdict import as_json, scores
from ganlab.study.values import Study

FOLDER = "report"
_MARKS = re.compile(r"([\\`*\[\]|~]|(?<!\w)_|_(?!\w)|<(?=[\w/!]))")  # what Markdown would interpret


def write_report(study: Study, folder: Path | None = None) -> Path:
    """Write `report/` into the study's folder; returns it. What an earlier report left there is replaced or removed.

    folder: used instead of that one. report.html is self-contained; report.md shows the files in figures/. Raises
    ResultError where records of a run are damaged, OSError where the folder cannot be written.
    """
    page = write_contents(study)
    folder = folder or study.directory / FOLDER
    with sole_writer(folder):
        # first: it tells whose folder it is, should this be stopped
        write_json(folder / "verdict.json", {"answer": answer(study), **as_json(study)})
        _write_pages(page, study, folder)
    return folder


def _write_pages(page: Page, study: Study, folder: Path) -> None:
    figures = folder / "figures"
    make_folder(figures)
    written = set()
    for drawing in page.drawings():
        for theme in THEMES:
            written.add(_write(figures / f"{drawing.name}-{theme}.svg", drawing.svg(theme).encode()))
    for name, png in page.pictures().items():
        written.add(_write(figures / f"{name}.png", png))
    _write(folder / "report.html", as_html(page).encode())
    _write(folder / "report.md", as_markdown(page).encode())
    _write(folder / "scores.csv", _as_csv(scores(study)).encode())
    for stale in {*figures.glob("*.svg"), *figures.glob("*.png")} - written:
        stale.unlink()


def as_html(page: Page) -> str:
    """One file without requests and without scripts."""
    environment = Environment(loader=_templates(), autoescape=True, trim_blocks=True, lstrip_blocks=True,
                              undefined=StrictUndefined)  # fmt: skip
    environment.filters["inline"] = lambda drawing: Markup(drawing.inline())  # its texts are escaped where it is drawn
    environment.filters["breakable"] = lambda text: Markup(re.sub(r"([._=])", r"\1<wbr>", html.escape(text)))
    environment.filters["data"] = lambda png: f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return environment.get_template("report.html.jinja").render(page=page, themes=THEMES)


def as_markdown(page: Page) -> str:
    """As GitHub shows it, with the files in figures/."""
    environment = Environment(loader=_templates(), finalize=_escaped, trim_blocks=True, lstrip_blocks=True,
                              undefined=StrictUndefined)  # fmt: skip
    environment.filters["html"] = lambda text: _Plain(html.escape(text))
    environment.filters["code"] = lambda text: _Plain(text)
    text = environment.get_template("report.md.jinja").render(page=page)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _as_csv(rows: list[dict[str, Any]]) -> str:
    """Rows of equal columns; an empty field where there is no value.

    Text that a spreadsheet would run as a formula gets an apostrophe before it, which makes it text there.
    """
    file = io.StringIO()
    table = csv.DictWriter(file, rows[0], lineterminator="\n")
    table.writeheader()
    table.writerows({key: _as_text(value) for key, value in row.items()} for row in rows)
    return file.getvalue()


def _as_text(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


class _Plain(str):
    """Text that needs no escaping in Markdown."""


def _escaped(value: Any) -> str:
    """Text with Markdown's marks escaped, in one line: another line could begin with a mark."""
    return value if isinstance(value, _Plain) else _MARKS.sub(r"\\\1", " ".join(str(value).split("\n")))


def _templates() -> PackageLoader:
    return PackageLoader("ganlab.report")


def _write(path: Path, content: bytes) -> Path:
    write_bytes(path, content, durable=False)  # easily made again
    return path
