"""What `ganlab.inspect` shows: views of generators in the terminal and as one picture. No TensorFlow, no networks."""

from ganlab.inspection.picture import picture
from ganlab.inspection.terminal import markdown, show
from ganlab.inspection.views import View

__all__ = ["View", "markdown", "picture", "show"]
