"""A benchmark's measured values against their limits, printed and plotted."""

from pathlib import Path
from typing import NamedTuple


class Measure(NamedTuple):
    """A measured value and its limit, an upper one if `below`."""

    name: str
    value: float
    limit: float
    below: bool
    how: str

    def is_kept(self) -> bool:
        """Return whether the value is within the limit."""
        return self.value <= self.limit if self.below else self.value >= self.limit


def report(name: str, measures: list[Measure]) -> list[Measure]:
    """Print the measures, each value beside its limit; return them with `name` in front."""
    measures = [m._replace(name=f"{name}: {m.name}") for m in measures]
    for measure in measures:
        sign, mark = ("<=" if measure.below else ">="), ("ok" if measure.is_kept() else "MISSED")
        value = f"{measure.value:8.2f} {sign} {measure.limit:<5g} {mark:6}"
        print(f"{measure.name:64} {value} {measure.how}", flush=True)
    return measures


def plot(measures: list[Measure], title: str, path: Path) -> None:
    """Save a bar chart of value / limit; 1 is the limit."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(12, 0.4 * len(measures) + 1.2), layout="constrained")
    names = [f"{m.name}  ({'at most' if m.below else 'at least'} {m.limit:g})" for m in measures]
    # A negative difference counts as zero.
    shares = [max(0.0, m.value / m.limit) for m in measures]
    colours = ["#009e73" if m.is_kept() else "#d55e00" for m in measures]
    bars = axes.barh(names, shares, color=colours)
    axes.bar_label(bars, [f"{m.value:.2f}" for m in measures], padding=3)
    axes.axvline(1.0, color="black", linewidth=1)
    axes.margins(x=0.1)
    axes.invert_yaxis()
    axes.set_xlabel("value / limit")
    figure.suptitle(title)
    figure.savefig(path, dpi=120)
