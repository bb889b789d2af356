"""Distances of all pairs of two sets: fast by a matrix product, exact where a comparison depends on it.

Pairs are taken in square blocks, so memory does not grow with their number, and rows of blocks on all cores at once.
"""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ganlab.evaluation.arguments import Array
from ganlab.evaluation.cores import on_all_cores

SIDE = 1024  # of a block: 8 MB, near the cache
_HUGE = np.finfo(np.float64).max
_Result = TypeVar("_Result")


class Points:
    """Vectors [N, D], prepared for products: `left` and `right` [N, D+2] with left_i . right_j = |x_i - x_j|^2.

    centre: subtracted for the products; far from the origin they cancel, and too many pairs need the slow path.
    """

    def __init__(self, vectors: Array, centre: Array):
        centred = vectors - centre
        self.vectors = vectors
        self.squares = np.einsum("nd,nd->n", centred, centred)
        ones = np.ones(len(vectors))
        self.left = np.column_stack([-2 * centred, self.squares, ones])
        self.right = np.column_stack([centred, ones, self.squares])

    def __len__(self) -> int:
        return len(self.vectors)


def prepare(first: Array, *others: Array) -> tuple[Points, ...]:
    """Sets of vectors about one centre, the mean of the first."""
    centre = first.mean(axis=0)
    return tuple(Points(vectors, centre) for vectors in (first, *others))


def blocks(count: int, size: int | None = None, start: int = 0) -> list[slice]:
    """`start` ... `count` in slices of `size`, by default the side of a block of pairs."""
    size = SIDE if size is None else size
    return [slice(first, min(first + size, count)) for first in range(start, count, size)]


def each_row_of_blocks(work: Callable[[slice], _Result], count: int) -> list[_Result]:
    """`work` of each row of blocks, in order, whatever the number of cores."""
    return on_all_cores(work, blocks(count))


def sum_over_pairs(sum_of_block: Callable[[slice, slice], float], rows: int, columns: int | None = None) -> float:
    """The sum of `sum_of_block(rows, columns)` over all blocks of pairs of two sets.

    Without `columns` of one set, whose blocks beside the diagonal count twice.
    """

    def add(row: slice) -> float:
        if columns is not None:
            return sum(sum_of_block(row, column) for column in blocks(columns))
        total = sum_of_block(row, row)
        for column in blocks(rows, start=row.stop):
            total += 2 * sum_of_block(row, column)
        return total

    return sum(each_row_of_blocks(add, rows))


def squared_distances(left: Points, right: Points, rows: slice, columns: slice) -> tuple[Array, float]:
    """Squared distances of a block of pairs by a product, and how far they and `exact_squares` may be apart."""
    # The bound of Higham's "Accuracy and Stability", 3.1, for the product and for the direct sum together.
    unit = 2 * (left.vectors.shape[1] + 8) * np.finfo(np.float64).eps
    error = unit * (left.squares[rows].max() + right.squares[columns].max())
    return left.left[rows] @ right.right[columns].T, float(error)


def exact_squares(left: Array, right: Array) -> Array:
    """Squared distances [N] of the rows of two sets, pair by pair, as sums of squared differences.

    Coordinates do not cancel, and a pair has the same bits wherever it stands.
    """
    difference = left - right
    return np.einsum("nd,nd->n", difference, difference)


def exact_squares_at(left: Points, right: Points, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> Array:
    """Exact squared distances of chosen pairs, [P]; so many at a time that memory stays that of a block."""
    squares = np.empty(len(rows))
    for chosen in blocks(len(rows), max(1, SIDE**2 // left.vectors.shape[1])):
        squares[chosen] = exact_squares(left.vectors[rows[chosen]], right.vectors[columns[chosen]])
    return squares


def positions(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of true entries, row by row; faster than `numpy.nonzero` where these are few."""
    return np.divmod(np.flatnonzero(mask), mask.shape[1])


def neighbours(left: Points, right: Points, k: int, own: bool = False) -> tuple[Array, NDArray[np.intp]]:
    """The k nearest in `right` of each in `left`, nearest first: exact squared distances and places, [N, k].

    Equally near ones are in the order of their places. own: both are the same set, in which none is its own neighbour.
    """
    squares, places = np.full((len(left), k), _HUGE), np.zeros((len(left), k), dtype=np.intp)

    def search(rows: slice) -> None:
        for columns in blocks(len(right)):
            estimates, error = squared_distances(left, right, rows, columns)
            if own and rows == columns:
                np.fill_diagonal(estimates, np.inf)
            last = squares[rows, -1]  # exact, so that only what may be nearer has to be measured
            reach = np.where(last > 0, np.minimum(last, _HUGE - error) + error, -np.inf)
            if last.max() == _HUGE and estimates.shape[1] > k:
                reach = np.minimum(reach, np.partition(estimates, k - 1, axis=1)[:, k - 1] + 2 * error)
            row, column = positions(estimates <= reach[:, None])
            if len(row):
                column += columns.start
                square = exact_squares_at(left, right, row + rows.start, column)
                _merge((squares[rows], places[rows]), row, square, column)

    each_row_of_blocks(search, len(left))
    return squares, places


def _merge(
    lists: tuple[Array, NDArray[np.intp]], row: NDArray[np.intp], square: Array, place: NDArray[np.intp]
) -> None:
    """Put neighbours, given row by row, into the sorted lists (squared distances, places) of their rows, in place."""
    squares, places = lists
    k = squares.shape[1]
    many = np.bincount(row, minlength=len(squares))
    slot = k + np.arange(len(row)) - np.repeat(np.cumsum(many) - many, many)
    joined = np.full((len(squares), k + many.max()), _HUGE)
    joined_places = np.zeros(joined.shape, dtype=np.intp)
    joined[:, :k], joined_places[:, :k] = squares, places
    joined[row, slot], joined_places[row, slot] = square, place
    order = np.argsort(joined, axis=1, kind="stable")[:, :k]
    squares[:] = np.take_along_axis(joined, order, axis=1)
    places[:] = np.take_along_axis(joined_places, order, axis=1)
