"""The ten digits as a hand would draw them: paths in a unit square."""

import numpy as np


def _arc(x, y, width, height, start, end, n=16):
    """Points of an ellipse around `(x, y)`; degrees, clockwise from the
    right."""
    angles = np.radians(np.linspace(start, end, n))
    return [
        (x + width / 2 * np.cos(angle), y + height / 2 * np.sin(angle))
        for angle in angles
    ]


STROKES = {
    0: [_arc(0.5, 0.5, 0.62, 1.0, -90, 270)],
    1: [[(0.5, 0.0), (0.5, 1.0)]],
    2: [[*_arc(0.5, 0.3, 0.62, 0.6, -170, 40), (0.18, 1.0), (0.85, 1.0)]],
    3: [
        [
            *_arc(0.48, 0.25, 0.56, 0.5, -150, 90),
            *_arc(0.48, 0.75, 0.64, 0.5, -90, 150),
        ]
    ],
    4: [
        [(0.3, 0.0), (0.15, 0.6), (0.85, 0.6)],
        [(0.68, 0.1), (0.66, 1.0)],
    ],
    5: [
        [(0.25, 0.0), (0.2, 0.45), *_arc(0.45, 0.7, 0.62, 0.6, -110, 150)],
        [(0.25, 0.0), (0.8, 0.0)],
    ],
    6: [[(0.66, 0.0), (0.3, 0.45), *_arc(0.5, 0.72, 0.5, 0.56, -170, 200)]],
    7: [[(0.15, 0.0), (0.85, 0.0), (0.4, 1.0)]],
    8: [
        [
            *_arc(0.5, 0.25, 0.5, 0.5, 90, -270),
            *_arc(0.5, 0.75, 0.62, 0.5, -90, 270),
        ]
    ],
    9: [[*_arc(0.48, 0.28, 0.52, 0.56, 0, -360), (0.72, 0.3), (0.62, 1.0)]],
}


def strokes(digit, size=0.7, at=(0.5, 0.5)):
    """The strokes of a digit, `size` high, around `at`."""
    x, y = at
    return [
        [(x + size * (a - 0.5), y + size * (b - 0.5)) for a, b in stroke]
        for stroke in STROKES[digit]
    ]
