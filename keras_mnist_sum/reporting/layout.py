"""How figures are laid out: text that is measured, and axes placed in inches.

A figure is `WIDTH` inches wide where it can be, so that its text is legible
where the picture is shown 500 pixels wide. Colours are told apart without
colour vision.
"""

import functools
import textwrap
from collections.abc import Iterable
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.font_manager import findfont
from matplotlib.font_manager import get_font
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.textpath import TextPath

WIDTH = 8.0  # inches
DPI = 150
SMALL, LARGE = 8, 11  # points: of captions, of titles
TEXT, FAINT = "#1a1a1a", "#666666"
RIGHT, WRONG = "#0072b2", "#c04a00"
Caption = Sequence[tuple[str, bool]]  # lines, and whether each is wrong
_EDGE = 0.15  # inches around a sheet
_LINE = 1.3  # from line to line, in sizes of the text


def format_int(value: int) -> str:
    """An integer as it is printed in a picture."""
    return f"{value:,}".replace("-", "−")


def in_font(text: str) -> str:
    """`text` with a box for each character that Matplotlib's font lacks, of
    which it would warn: a path may have any."""
    font = get_font(findfont(FontProperties()))

    def drawn(x: str) -> str:
        if x == "\n" or font.get_char_index(ord(x)):
            return x
        return " " if x.isspace() else "□"

    return "".join(map(drawn, text))


@functools.lru_cache(maxsize=10_000)
def _width(text: str, weight: str) -> float:
    """In inches, of 10 points."""
    plain = in_font(text).replace("$", "S")  # A dollar sign is no formula.
    path = TextPath((0, 0), plain, 10, prop=FontProperties(weight=weight))
    return path.get_extents().x1 / 72 if text.strip() else 0.0


def text_width(
    texts: Iterable[str], size: float, weight: str = "normal"
) -> float:
    """How many inches the widest of `texts` takes, in `size` points."""
    widest = max((_width(text, weight) for text in texts), default=0.0)
    return 1.05 * widest * size / 10  # Letters are moved to whole pixels.


def caption_width(lines: Caption, size: float = SMALL) -> float:
    """How many inches the widest of a caption's lines takes."""
    return max(
        text_width([text], size, "bold" if wrong else "normal")
        for text, wrong in lines
    )


def font_size(texts: Iterable[str], room: float, size: float) -> float:
    """`size` points, or so many that `texts` fit into `room` inches."""
    return size * min(1, room / max(text_width(texts, size), 0.01))


def wrap(text: str, room: float, size: float) -> str:
    """`text` in lines that fit into `room` inches in `size` points."""
    lines: list[str] = []
    for long in in_font(text).splitlines():
        wide = text_width([long], size)
        most = len(long) if wide <= room else int(len(long) * room / wide)
        for characters in range(max(most, 1), 0, -1):
            parts = textwrap.wrap(long, characters, break_on_hyphens=False)
            if text_width(parts, size) <= room:
                break
        lines += parts
    return "\n".join(lines)


def new_figure(title: str, width: float, height: float) -> Figure:
    """A figure of so many inches, with a title, which makes room for labels."""
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1)
    figure = Figure(figsize=(width, height), dpi=DPI, layout=layout)
    add_title(figure, title)
    return figure


def add_title(figure: Figure, title: str) -> Text:
    """Gives a figure a title, in lines that fit its width."""
    width = figure.get_figwidth()
    return figure.suptitle(
        wrap(title, width - 2 * _EDGE, LARGE),
        x=_EDGE / width,
        ha="left",
        fontsize=LARGE,
        color=TEXT,
        parse_math=False,  # A path may have dollar signs.
    )


def panels(
    figure: Figure, count: int, columns: int, **settings: Any
) -> list[Axes]:
    """As many axes, in rows of at most `columns`."""
    columns = min(columns, count)
    rows = -(-count // columns)
    grid = figure.subplots(rows, columns, squeeze=False, **settings)
    for axes in grid.flat[count:]:
        axes.set_axis_off()
    return list(grid.flat[:count])


class Sheet:
    """A figure that is filled from top to bottom, and grows with it.

    Args:
        title: A line or more for the top.
        width: In inches.
    """

    def __init__(self, title: str, width: float = WIDTH) -> None:
        self.figure = Figure(figsize=(width, 1), dpi=DPI)
        self._title = add_title(self.figure, title)
        lines = self._title.get_text().count("\n") + 1
        self._bottom = _EDGE + lines * LARGE * _LINE / 72
        self._boxes: list[tuple[Axes, float, float, float, float]] = []

    @property
    def room(self) -> float:
        """The inches between the edges."""
        return self.figure.get_figwidth() - 2 * _EDGE

    def add_grid(
        self,
        count: int,
        columns: int,
        height: float | None = None,
        *,
        above: float = 0.0,
        below: float = 0.1,
        left: float = 0.0,
    ) -> list[Axes]:
        """Adds axes, in rows, as wide as there is room.

        Args:
            count: How many.
            columns: How many in a row.
            height: Of each, in inches; `None` makes them square.
            above: Inches that are kept free above each.
            below: The same below each.
            left: The same to the left.
        """
        cell = self.room / columns
        width = cell - left - 0.1
        height = width if height is None else height
        added = []
        for place in range(count):
            row, column = divmod(place, columns)
            x = _EDGE + column * cell + left
            top = self._bottom + row * (above + height + below) + above
            axes = self.figure.add_axes((0, 0, 1, 1))
            self._boxes.append((axes, x, top, width, height))
            added.append(axes)
        self._bottom += -(-count // columns) * (above + height + below)
        self._place()
        return added

    def _place(self) -> None:
        width, height = self.figure.get_figwidth(), self._bottom + 0.05
        self.figure.set_figheight(height)
        self._title.set_y(1 - _EDGE / height)
        for axes, x, top, wide, high in self._boxes:
            axes.set_position(
                (
                    x / width,
                    1 - (top + high) / height,
                    wide / width,
                    high / height,
                )
            )


def lines_height(count: int, size: float = SMALL) -> float:
    """The inches that so many lines of a caption take."""
    return (count * _LINE * size + 5) / 72


def add_caption(axes: Axes, lines: Caption, size: float = SMALL) -> None:
    """Writes lines above axes, wrong ones bold and in another colour."""
    for place, (text, wrong) in enumerate(lines, 1 - len(lines)):
        axes.annotate(
            in_font(text),
            (0.5, 1),
            (0, 4 - _LINE * size * place),
            xycoords="axes fraction",
            textcoords="offset points",
            ha="center",
            fontsize=size,
            color=WRONG if wrong else TEXT,
            fontweight="bold" if wrong else "normal",
            parse_math=False,  # A question may have dollar signs.
        )


def set_title(
    axes: Axes, *lines: str, size: float = 10, pad: float = 6
) -> None:
    """Titles axes, in letters that are small enough for their width, `pad`
    points above them."""
    room = axes.get_window_extent().width / axes.figure.dpi
    text = in_font("\n".join(lines))
    size = font_size(text.splitlines(), room, size)
    axes.set_title(text, fontsize=size, color=TEXT, pad=pad)


def no_frame(axes: Axes) -> None:
    """Takes frame and ticks from a heat map."""
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
