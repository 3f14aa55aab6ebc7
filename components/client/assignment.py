"""Which rows of a table of costs go with which columns, so that the sum is least."""

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Pairs (row, column), as many as the shorter side of `costs` [n, m], of the least sum.

    Costs are finite. Shortest augmenting paths: Jonker and Volgenant 1987, "A shortest augmenting
    path algorithm for dense and sparse linear assignment problems", in O(n m min(n, m)).
    """
    rows, columns = costs.shape
    if rows > columns:
        return sorted((row, column) for column, row in assign(costs.T))
    row_price = np.zeros(rows)
    column_price = np.zeros(columns)
    row_of = np.full(columns, -1)
    for row in range(rows):
        _augment(costs, row, row_of, row_price, column_price)
    return sorted((int(row_of[k]), int(k)) for k in np.flatnonzero(row_of >= 0))


def _augment(
    costs: NDArray[np.float64],
    free_row: int,
    row_of: NDArray[np.int64],
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
) -> None:
    """Give `free_row` a column, moving others along the cheapest path to a free column."""
    columns = costs.shape[1]
    distance = np.full(columns, np.inf)
    came_from = np.full(columns, -1)
    reached = np.zeros(columns, bool)
    row, column, so_far = free_row, -1, 0.0
    while True:
        through = so_far + costs[row] - row_price[row] - column_price
        shorter = ~reached & (through < distance)
        distance[shorter] = through[shorter]
        came_from[shorter] = column
        column = int(np.where(reached, np.inf, distance).argmin())
        so_far = float(distance[column])
        reached[column] = True
        if row_of[column] < 0:
            break
        row = int(row_of[column])
    # Prices keep every pair of the assignment at a reduced cost of nought, and none below it.
    row_price[free_row] += so_far
    taken = reached & (row_of >= 0)
    row_price[row_of[taken]] += so_far - distance[taken]
    column_price[reached] -= so_far - distance[reached]
    while column >= 0:
        before = int(came_from[column])
        row_of[column] = free_row if before < 0 else row_of[before]
        column = before
