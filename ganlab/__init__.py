"""ganlab: a config-driven lab that settles which upsampling operator makes the better GAN generator."""

import os
import sys

__version__ = "0.1.0"


def _leave_present_folder() -> None:
    """Import nothing from the present folder, which `python -m` puts first: it may be anybody's, with a numpy.py in it.

    A checkout that is not installed stays, behind all else, for the processes of a sweep too.
    """
    here = sys.path.pop(0)
    if os.path.samefile(here, os.path.dirname(os.path.dirname(__file__))):  # noqa: PTH120, PTH121 - nothing is imported
        sys.path.append(here)
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), here]))


if sys.argv[:1] == ["-m"] and not sys.flags.safe_path and os.path.isabs(sys.path[0]):  # noqa: PTH117
    _leave_present_folder()
