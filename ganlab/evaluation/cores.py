"""Work on all cores without the threads of BLAS.

Those wait for each other at every product: where another process uses the cores too, that takes ten times as long as
the product, or more.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TypeVar

import scipy.linalg  # noqa: F401 - loads SciPy's own BLAS
from threadpoolctl import ThreadpoolController

from ganlab.environment import usable_cores

_LIBRARIES = ThreadpoolController()  # numpy's and SciPy's; searched for once, since a search takes milliseconds
_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def on_all_cores(work: Callable[[_Part], _Result], parts: Sequence[_Part]) -> list[_Result]:
    """`work` of each part, in order, whatever the number of cores: one thread for each core, none of BLAS."""
    with one_thread():
        if len(parts) == 1:
            return [work(parts[0])]
        with ThreadPoolExecutor(usable_cores()) as threads:
            return list(threads.map(work, parts))


def one_thread() -> AbstractContextManager[object]:
    """A context in which BLAS has one thread."""
    return _LIBRARIES.limit(limits=1, user_api="blas")
