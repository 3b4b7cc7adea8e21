"""What a figure shows, read from its axes."""

import numpy as np
from matplotlib.colors import to_hex

from keras_mnist_sum.reporting.layout import WRONG


def cell_texts(axes):
    """The texts in the cells of a heat map, by (row, column)."""
    return {
        (int(text.get_position()[1]), int(text.get_position()[0])): (
            text.get_text()
        )
        for text in axes.texts
    }


def outlined_cells(axes):
    """The (row, column) of each cell that has the outline of a wrong one."""
    return {
        (round(patch.get_y() + 0.46), round(patch.get_x() + 0.46))
        for patch in axes.patches
        if to_hex(patch.get_edgecolor()) == WRONG
    }


def is_framed_as_wrong(axes):
    """Whether the first frame in `axes` is that of something wrong."""
    return to_hex(axes.patches[0].get_edgecolor()) == WRONG


def caption(axes):
    """The lines of a caption, from the top."""
    return [text.get_text() for text in axes.texts]


def wrong_lines(axes):
    """Those lines of a caption that are marked as wrong."""
    return [x.get_text() for x in axes.texts if x.get_color() == WRONG]


def check_texts(figure):
    """Checks that no text is cut, and none lies on another."""
    figure.draw_without_rendering()
    texts = [*figure.texts]
    for legend in figure.legends:
        texts += legend.get_texts()
    for axes in figure.axes:
        texts += axes.texts
        if axes.axison:
            texts += [axes.title, axes._left_title]
            for axis in (axes.xaxis, axes.yaxis):
                ends = sorted(axis.get_view_interval())
                texts += [axis.label]
                texts += [
                    tick.label1
                    for tick in (*axis.get_major_ticks(), *axis.minorTicks)
                    if tick.label1.get_visible()
                    and ends[0] <= tick.get_loc() <= ends[1]
                ]
    texts = [x for x in texts if x.get_visible() and x.get_text().strip()]
    boxes = np.array([x.get_window_extent().extents for x in texts])
    least, most = boxes[:, :2] + 1, boxes[:, 2:] - 1
    for text, low, high in zip(texts, least, most):
        inside = (low >= 0).all() and (high <= figure.bbox.size).all()
        assert inside, f"{text.get_text()!r} is cut"
    overlaps = (least[:, None] < most).all(-1) & (least < most[:, None]).all(-1)
    for one, other in np.argwhere(np.triu(overlaps, 1)):
        raise AssertionError(
            f"{texts[one].get_text()!r} lies on {texts[other].get_text()!r}"
        )
