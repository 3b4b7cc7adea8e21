"""What a figure shows, read from its axes."""

from matplotlib.colors import to_hex

from keras_mnist_sum.reporting.charts import WRONG


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
