"""How the benchmark's pictures look: fonts, colours that colour-blind readers tell apart, PNG bytes."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cli.render.benchmark_cells import name_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from continual_dml.comparisons.rows import MethodRow

INK, FAINT, GRID, CONTEXT, PAPER = "#1f2328", "#57606a", "#d8dee4", "#c3cad2", "#ffffff"
# Blue for the methods, vermillion for references that replay: two of the eight colours of Okabe and Ito
# (2008), which all kinds of colour vision tell apart.
METHOD, REFERENCE = "#0072b2", "#d55e00"
DOTS_PER_INCH = 130
MOST_IN_NAME = 34
READOUT = "Statistics head and re-embedded gallery, where not named otherwise."
"""What stands for a method in a picture."""
_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "text.parse_math": False,  # a $ in a name is a $
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "text.color": INK,
    "grid.color": GRID,
    "figure.facecolor": PAPER,
}


@contextmanager
def style() -> Iterator[None]:
    """Draw in the benchmark's style, whatever the user's own matplotlib settings are."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def png(figure: Figure) -> bytes:
    """Return the figure as the bytes of a PNG file."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        # A task's name may hold letters that the font lacks; a box in their place is no reason to complain.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(content, format="png", dpi=DOTS_PER_INCH, bbox_inches="tight", pad_inches=0.15)
    return content.getvalue()


def colour_of(row: MethodRow) -> str:
    """Return blue, or vermillion for a reference that replays."""
    return REFERENCE if row.replays else METHOD


def title_of(row: MethodRow) -> str:
    """Return a method's name as pictures show it: short enough, with what is unusual about its readout."""
    name = shortened(name_of(row), MOST_IN_NAME)
    head = "" if row.head == "statistics" else f", {row.head} head"
    return name + head + ("" if row.gallery == "reembedded" else f", {row.gallery}")


def shortened(text: str, most: int) -> str:
    """Return the text, its middle left out where it is too long: beginnings and ends tell names apart.

    >>> shortened("mutual-distillation", 11)
    'mutua…ation'
    """
    if len(text) <= most:
        return text
    kept = most - 1
    return f"{text[: (kept + 1) // 2]}…{text[len(text) - kept // 2 :]}"


def bare(axes: Axes) -> None:
    """Take away the frame's upper and right line."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def head_line(figure: Figure, title: str, explanation: str) -> None:
    """Write a title and what is to be seen, in two lines, above the panels."""
    height = figure.get_figheight()
    figure.text(0.0, 1 + 0.58 / height, title, fontsize=13, fontweight="bold", va="bottom")
    figure.text(0.0, 1 + 0.14 / height, explanation, fontsize=9, color=FAINT, va="bottom", linespacing=1.4)
