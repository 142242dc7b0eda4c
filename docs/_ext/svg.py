"""A drawing as SVG inside the page: text in the page's fonts, colours from its style sheet.

Every shape has classes instead of colours (``docs/_static/docs.css`` has the colours, for light
and for dark), so one drawing serves both. The same calls give the same bytes.
"""

import math
import re
from collections.abc import Sequence
from html import escape
from itertools import pairwise

Point = tuple[float, float]

ARROW = 6.0
"""Length of an arrowhead."""


class Drawing:
    """Shapes on a canvas of ``width`` × ``height`` units, y downwards.

    Args:
        width, height: of the canvas.
        alt: what the drawing shows, in a sentence, for those who do not see it.
        classes: of the whole drawing.
    """

    def __init__(self, width: float, height: float, alt: str, classes: str = "") -> None:
        self.width, self.height, self.alt, self.classes = width, height, alt, classes
        self.shapes: list[str] = []

    def line(
        self, points: Sequence[Point], classes: str = "", arrow: bool = True, hop: float = 0
    ) -> None:
        """A line through the points, with an arrowhead at its end.

        ``hop`` makes a vertical stretch jump over whatever lies at that y.
        """
        shaft = list(points)
        if arrow:
            shaft[-1] = _towards(points[-1], points[-2], ARROW - 1)
        path = "M" + _xy(shaft[0])
        for (x, y), (next_x, next_y) in pairwise(shaft):
            if x == next_x and min(y, next_y) < hop < max(y, next_y):
                up = next_y < y
                before, after = (hop + 5, hop - 5) if up else (hop - 5, hop + 5)
                path += f"L{_xy((x, before))}A5 5 0 0 {int(up)} {_xy((x, after))}"
            path += "L" + _xy((next_x, next_y))
        self._add(f'<path d="{path}" fill="none"/>', f"line {classes}")
        if arrow:
            self._add(f'<path d="{_arrowhead(points[-2], points[-1])}"/>', f"head {classes}")

    def box(
        self, x: float, y: float, width: float, height: float, classes: str = "", corner: float = 3
    ) -> None:
        """A rectangle, by its upper left corner."""
        size = f'width="{_n(width)}" height="{_n(height)}" rx="{_n(corner)}"'
        self._add(f'<rect x="{_n(x)}" y="{_n(y)}" {size}/>', f"box {classes}")

    def circle(self, x: float, y: float, radius: float, classes: str = "") -> None:
        """A circle, by its centre."""
        self._add(f'<circle cx="{_n(x)}" cy="{_n(y)}" r="{_n(radius)}"/>', f"box {classes}")

    def text(
        self, x: float, y: float, words: str, classes: str = "", anchor: str = "middle"
    ) -> None:
        """Words, y being the base line. ``c_t`` and ``h_{t−1}`` are written as in a formula."""
        self._add(
            f'<text x="{_n(x)}" y="{_n(y)}" text-anchor="{anchor}">{_markup(words)}</text>',
            f"text {classes}",
        )

    def _add(self, element: str, classes: str) -> None:
        name, rest = element.split(" ", 1)
        self.shapes.append(f'{name} class="{" ".join(classes.split())}" {rest}')

    def __str__(self) -> str:
        size = f'viewBox="0 0 {_n(self.width)} {_n(self.height)}"'
        classes = f"drawing {self.classes}".strip()
        return "\n".join(
            [
                f'<svg class="{classes}" {size} role="img" aria-label="{escape(self.alt)}">',
                *self.shapes,
                "</svg>",
            ]
        )


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")


def _xy(point: Point) -> str:
    return f"{_n(point[0])} {_n(point[1])}"


def _towards(start: Point, end: Point, distance: float) -> Point:
    """The point that lies ``distance`` from ``start`` on the way to ``end``."""
    length = math.dist(start, end)
    return (
        start[0] + (end[0] - start[0]) * distance / length,
        start[1] + (end[1] - start[1]) * distance / length,
    )


def _arrowhead(before: Point, tip: Point) -> str:
    base = _towards(tip, before, ARROW)
    across = ((tip[1] - base[1]) * 0.5, (base[0] - tip[0]) * 0.5)
    corners = [
        tip,
        (base[0] + across[0], base[1] + across[1]),
        (base[0] - across[0], base[1] - across[1]),
    ]
    return "M" + "L".join(map(_xy, corners)) + "Z"


# In "c_{t−1}", the letter and what stands below it.
SUBSCRIPT = re.compile(r"(?<![^\W_])([^\W\d_])_(?:\{([^}]*)\}|(\w)(?!\w))")


def _markup(words: str) -> str:
    """Symbols with a subscript in italics and the subscript below; other words as they are."""
    parts, end = [], 0
    for symbol in SUBSCRIPT.finditer(words):
        parts.append(escape(words[end : symbol.start()]))
        below = escape(symbol[2] or symbol[3])
        # dy, because not every browser knows baseline-shift; the second one goes back up.
        parts.append(
            f'<tspan class="math">{escape(symbol[1])}</tspan>'
            f'<tspan class="math sub" dy="3">{below}</tspan><tspan dy="-3">\u200b</tspan>'
        )
        end = symbol.end()
    return "".join(parts) + escape(words[end:])
