"""How Sphinx builds the site, from docs/ and experiments/, whose links work on a code host as well.

`make docs` builds it without a network into site/; whatever is broken is a warning, and a warning fails the build.
"""

import ast
import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import ganlab
from ganlab import device

device.start("float32")  # the reference imports TensorFlow, which is quiet if it is started like this
ROOT = Path(__file__).parent.parent
PAGES = ("docs", "experiments", "CONTRIBUTING.md", "CHANGELOG.md")

project = "ganlab"
author = "the ganlab maintainers"
project_copyright = author
release = ganlab.__version__
root_doc = "docs/index"
extensions = ["myst_parser", "sphinx.ext.autodoc"]
include_patterns = ["docs/*.md", "experiments/*.md", "experiments/**/*.md", "CONTRIBUTING.md", "CHANGELOG.md"]
exclude_patterns = [path.name for path in ROOT.iterdir() if path.name not in PAGES]
html_theme = "furo"
html_title = "ganlab"
html_show_sphinx = False
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_theme_options = {"navigation_with_keys": True}
myst_heading_anchors = 4
myst_enable_extensions = ["attrs_inline", "html_image"]
suppress_warnings = ["myst.header"]  # a page of experiments may begin below a title
nitpicky = True
nitpick_ignore_regex = [("py:.*", ".*")]  # annotations are those of the source, mostly of other packages
default_role = "code"
highlight_language = "none"  # where a page does not say
autodoc_member_order = "bysource"
toc_object_entries_show_parents = "hide"
python_maximum_signature_line_length = 100


def read_page(app: Any, page: str, source: list[str]) -> None:
    """Pictures of two themes, as a code host takes them, for Sphinx; and reports of studies, which stand in no menu."""

    def images(picture: re.Match[str]) -> str:
        """Sphinx does not look into HTML: one image for each theme."""
        (dark,), (light,), (alt,) = (
            re.findall(rf'\b{name}="([^"]*)"', picture[0]) for name in ("srcset", "src", "alt")
        )
        text = re.sub(r"([\[\]*_`])", r"\\\1", alt)
        return f"![{text}]({light}){{.only-light}} ![{text}]({dark}){{.only-dark}}"

    text = re.sub(r"<picture>.*?</picture>", images, source[0], flags=re.S)
    if page.endswith("/report"):
        title = f"# The report of {page.split('/')[-2]}"
        text = "---\norphan: true\n---\n" + re.sub(r"\A# (.+)", rf"{title}\n\n**\1**", text)
    source[0] = text


def write_signature(app: Any, what: str, name: str, it: Any, options: Any, signature: str, returns: str) -> Any:
    """A function's signature as its author wrote it: `ArrayLike`, where Sphinx would write out what that stands for."""
    if what != "function":
        return signature, None
    head = ast.parse(textwrap.dedent(inspect.getsource(it))).body[0]
    assert isinstance(head, ast.FunctionDef)
    return f"({ast.unparse(head.args)})", ast.unparse(head.returns) if head.returns else None


def skip_member(app: Any, what: str, name: str, it: Any, skip: bool, options: Any) -> bool | None:
    """Fields of a named tuple stand in its signature."""
    return True if name == "__new__" or type(it).__name__ == "_tuplegetter" else None


def write_docstring(app: Any, what: str, name: str, it: Any, options: Any, lines: list[str]) -> None:
    """A docstring as the plain text that it is: each argument a paragraph, no character a command but `backticks`."""
    named = set(inspect.signature(it).parameters) if callable(it) else set()
    text = []
    for line in lines:
        argument = re.match(r"([\w, ]+): ", line)
        if argument and set(argument[1].split(", ")) <= named:
            text += ["", f"**{argument[1]}**: " + escape(line[argument.end() :])]
        else:
            text += [""] * line.startswith("Raises ") + [escape(line)]
    lines[:] = text


def escape(line: str) -> str:
    """Text for reStructuredText: what stands in backticks is code, all else says what it says."""
    indent, item = re.match(r"(\s*(?:- )?)(.*)", line).groups()  # pyright: ignore
    parts = item.split("`")
    if len(parts) % 2 == 0:  # a lone backtick, or code over two lines
        return indent + re.sub(r"([*|_\\`])", r"\\\1", item)
    return indent + "".join(
        f"``{part}``" if place % 2 else re.sub(r"([*|_\\])", r"\\\1", part) for place, part in enumerate(parts)
    )


def write_entrance(app: Any, error: Exception | None) -> None:
    """The site's first file leads to its first page."""
    if error is None and app.builder.name == "html":
        page = (
            '<!doctype html><meta charset="utf-8"><title>ganlab</title><meta http-equiv="refresh" content="0; url={0}">'
        )
        (Path(app.outdir) / "index.html").write_text(
            page.format("docs/index.html") + "<a href='docs/index.html'>ganlab</a>\n"
        )


def setup(app: Any) -> None:
    """What Sphinx calls."""
    app.connect("source-read", read_page)
    app.connect("autodoc-skip-member", skip_member)
    app.connect("autodoc-process-signature", write_signature)
    app.connect("autodoc-process-docstring", write_docstring)
    app.connect("build-finished", write_entrance)
