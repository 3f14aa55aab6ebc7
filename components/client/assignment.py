"""The linear assignment problem: match rows with columns at the least total cost."""

import numpy as np
from numpy.typing import NDArray


def assign(costs: NDArray[np.float64]) -> list[tuple[int, int]]:
    """Match rows with columns so that the sum of their costs is least.

    Shortest augmenting paths: Jonker and Volgenant 1987, "A shortest augmenting path algorithm for
    dense and sparse linear assignment problems", in O(n m min(n, m)).

    Args:
        costs: Finite costs [n, m].

    Returns:
        Pairs (row, column), sorted; as many as the shorter side of `costs`.
    """
    rows, columns = costs.shape
    if rows > columns:
        return sorted((row, column) for column, row in assign(costs.T))
    row_price = np.zeros(rows)
    column_price = np.zeros(columns)
    row_of_column = np.full(columns, -1)
    for row in range(rows):
        _augment(costs, row, row_of_column, row_price, column_price)
    return sorted((int(row_of_column[k]), int(k)) for k in np.flatnonzero(row_of_column >= 0))


def _augment(
    costs: NDArray[np.float64],
    free_row: int,
    row_of_column: NDArray[np.int64],
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
) -> None:
    """Assign a column to `free_row`, shifting rows along the cheapest path to a free column."""
    columns = costs.shape[1]
    distance = np.full(columns, np.inf)
    previous_column = np.full(columns, -1)
    reached = np.zeros(columns, bool)
    row, column, path_cost = free_row, -1, 0.0
    while True:
        through_row = path_cost + costs[row] - row_price[row] - column_price
        shorter = ~reached & (through_row < distance)
        distance[shorter] = through_row[shorter]
        previous_column[shorter] = column
        column = int(np.where(reached, np.inf, distance).argmin())
        path_cost = float(distance[column])
        reached[column] = True
        if row_of_column[column] < 0:
            break
        row = int(row_of_column[column])
    # Prices keep the reduced cost of each assigned pair at zero, and that of all others above it.
    row_price[free_row] += path_cost
    assigned = reached & (row_of_column >= 0)
    row_price[row_of_column[assigned]] += path_cost - distance[assigned]
    column_price[reached] -= path_cost - distance[reached]
    while column >= 0:
        before = int(previous_column[column])
        row_of_column[column] = free_row if before < 0 else row_of_column[before]
        column = before
