"""How the charts look: size, colours, and a figure turned into bytes.

A figure is drawn once, in the colours of `INK` and its neighbours. Its PNG keeps them; in its SVG they
become the page's CSS variables, so that one drawing serves light, dark and print.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Colours of the drawing and the CSS variable each becomes.
INK, MUTED, LINE, PAPER, ACCENT = "#1c2227", "#57606a", "#d3d9df", "#ffffff", "#0072b2"
VARIABLES = {INK: "--ink", MUTED: "--muted", LINE: "--line", ACCENT: "--accent", PAPER: "--paper"}

# M. Okabe, K. Ito, "Color universal design" (2008), without its black, which is the ink here.
BLUE, VERMILLION = ACCENT, "#d55e00"
OTHERS = ("#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#f0e442")
OWN_COLOURS = {"bicycle": BLUE, "motorcycle": VERMILLION}
HATCHES = ("", "////", "....")  # once the colours are used up

WIDTH = (
    4.4  # inches; 317 units of the SVG, about the pixels a chart has on a phone: type keeps its size there
)
TYPE = 11.0

_RC: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.labelcolor": INK,
    "axes.labelsize": TYPE,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.constrained_layout.h_pad": 0.06,
    "figure.constrained_layout.use": True,
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same everywhere
    "font.size": TYPE,
    "grid.color": LINE,
    "grid.linewidth": 0.7,
    "hatch.linewidth": 0.8,
    "legend.fontsize": TYPE - 0.5,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "svg.fonttype": "none",  # real text: takes the page's typeface and can be searched
    "svg.hashsalt": "scones",  # the same ids on every run
    "text.color": INK,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "xtick.labelsize": TYPE - 0.5,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "ytick.labelsize": TYPE - 0.5,
}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw and save inside this: the house style, whatever the user's own matplotlib settings say."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RC)
        yield


def new_figure(height: float) -> tuple[Figure, Axes]:
    """Return an empty figure of the house width and `height` inches, and its axes."""
    figure = Figure(figsize=(WIDTH, height))
    return figure, figure.add_subplot()


def class_looks(classes: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return colour and hatch of each class: bicycle and motorcycle always their own, no pair used twice."""
    looks = {name: (OWN_COLOURS[name], "") for name in classes if name in OWN_COLOURS}
    palette = [colour for colour in (BLUE, VERMILLION, *OTHERS) if colour not in OWN_COLOURS.values()]
    free = [(colour, hatch) for hatch in HATCHES for colour in palette]
    for name in classes:
        if name not in looks:
            looks[name] = free.pop(0)
    return looks


def png(figure: Figure) -> bytes:
    """Return the figure as PNG, 880 pixels wide, the same bytes on every run."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=200, facecolor=PAPER, metadata={"Software": None})
    return buffer.getvalue()


def svg(figure: Figure, name: str, alt: str) -> str:
    """Return the figure as an `<svg>` element to stand inside HTML, with `alt` as its text alternative.

    Ids carry `name`, so that several charts share a page; namespaces and metadata, which HTML does not
    need, go.
    """
    buffer = io.StringIO()
    none = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(buffer, format="svg", facecolor="none", metadata=none)
    text = buffer.getvalue()
    box = re.search(r'viewBox="([^"]+)"', text)
    assert box is not None  # matplotlib always writes one
    body = text[text.index(">", box.end()) + 1 :]
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", body)
    for colour, variable in VARIABLES.items():
        # A variable is understood in a style only, not in an attribute of its own.
        body = re.sub(rf'\b(fill|stroke)="{colour}"', rf'style="\1: var({variable})"', body)
        body = body.replace(colour, f"var({variable})")
    label = html.escape(alt, quote=True)
    return f'<svg class="chart" viewBox="{box.group(1)}" role="img" aria-label="{label}">{body.strip()}'
