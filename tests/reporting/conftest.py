"""Fixtures of tests of pictures."""

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved."""
    figures, save = [], Figure.savefig
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, path, **how: (
            figures.append(figure) or save(figure, path, **how)
        ),
    )
    return figures
