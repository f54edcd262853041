"""What a measurement is, and the arithmetic on it. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured line. `ratio` is value / floor; `aim` is where the project wants the ratio or value to be.

    `floor_estimated` marks a floor that was calculated from measurements rather than measured.
    """

    bench: str
    name: str
    value: float
    unit: str
    floor: float | None = None
    floor_name: str = ""
    aim: str = ""
    note: str = ""
    floor_estimated: bool = False

    @property
    def ratio(self) -> float | None:
        return None if not self.floor else self.value / self.floor

    def as_dict(self) -> dict[str, object]:
        """For the JSON file; no measurement is rounded there."""
        return {
            "bench": self.bench,
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "floor": self.floor,
            "floor_name": self.floor_name,
            "ratio": self.ratio,
            "aim": self.aim,
            "note": self.note,
            "floor_estimated": self.floor_estimated,
        }


@dataclass(frozen=True, slots=True)
class Skipped:
    """A line that could not be measured here, and why."""

    bench: str
    name: str
    why: str

    def as_dict(self) -> dict[str, object]:
        return {"bench": self.bench, "name": self.name, "skipped": self.why}


Line = Figure | Skipped


def percentile(values: Sequence[float], part: float) -> float:
    """The value below which `part` (0 to 1) of the values lie, interpolated between neighbours."""
    if not values or not 0 <= part <= 1:
        raise ValueError("a percentile needs values, and a part from 0 to 1")
    ordered = sorted(values)
    place = (len(ordered) - 1) * part
    low = math.floor(place)
    high = math.ceil(place)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def around(before: float, after: float) -> float:
    """The floor that stood while something was measured in between: the mean of its two neighbours."""
    return fmean((before, after))


def spread(values: Sequence[float]) -> str:
    """Lowest to highest, for the note beside a median."""
    return f"{shown(min(values))} to {shown(max(values))}"


def shown(value: float) -> str:
    """Three significant digits, and no more than can be believed."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
