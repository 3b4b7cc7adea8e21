"""Damaged files, drawn, and what is to be true whatever is read."""

import contextlib
import faulthandler
import io
import json
import os
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck
from hypothesis import settings
from hypothesis import strategies as st

CLEAR_REFS = Path("/proc/self/clear_refs")


def inputs(most=2000):
    """Draws, the same in every run: 200 or, in CI, 2,000, but no more than
    `most`."""
    return settings(
        max_examples=min(int(os.environ.get("INPUTS", 200)), most),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def damaged(draw, content):
    """`content` with some bytes changed, its end missing, or more at it."""
    content = bytearray(content)
    end = draw(st.sampled_from([64, 512, len(content)]))
    places = st.integers(0, min(end, len(content)) - 1)
    values = st.sampled_from([0, 1, 0x7F, 0x80, 0xFF]) | st.integers(0, 255)
    for place, value in draw(st.lists(st.tuples(places, values), max_size=9)):
        content[place] = value
    kind = draw(st.integers(0, 9))
    if kind == 0:
        content = content[: draw(st.integers(0, len(content)))]
    elif kind == 1:
        content += draw(st.binary(max_size=20))
    return bytes(content)


def files(content):
    """Random bytes, and `content` damaged."""
    return st.binary(max_size=200) | damaged(content)


def places_in(tree, path=()):
    """The paths to all parts of JSON, without the whole."""
    children = {dict: lambda: tree.items(), list: lambda: enumerate(tree)}
    for key, child in children.get(type(tree), tuple)():
        yield (*path, key)
        yield from places_in(child, (*path, key))


JSON_VALUES = st.sampled_from(
    [
        *(None, True, 0, -1, 1, 19, 10**6, 10**12, -(10**12), 1e308, 1.5),
        *(float("nan"), 10**400),
        *("", "x", "image", "digit", "relu", "float64", "/etc/passwd"),
        *("Lambda", "eval", "os.system", "builtins", "keras.layers"),
        *([], {}, [1] * 5, [10**9, 10**9], {"class_name": "Lambda"}),
    ]
)


@st.composite
def changed(draw, tree):
    """JSON with some of its parts removed or replaced."""
    tree = json.loads(json.dumps(tree))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places_in(tree)) or [(0,)]))
        parent = tree
        for key in way:
            parent = parent[key]
        if isinstance(parent, dict) and draw(st.integers(0, 5)) == 0:
            del parent[last]
        elif parent:
            parent[last] = json.loads(json.dumps(draw(JSON_VALUES)))
    return tree


def peak_memory():
    """Bytes."""
    status = Path("/proc/self/status").read_text()
    [line] = [x for x in status.splitlines() if x.startswith("VmHWM")]
    return 1024 * int(line.split()[1])


@contextlib.contextmanager
def grows_by_less_than(most):
    """The process becomes larger by less than `most` bytes."""
    if CLEAR_REFS.exists():
        CLEAR_REFS.write_text("5")  # The peak starts from what is used now.
    before = peak_memory()
    yield
    assert peak_memory() - before < most


def memory_stays(most):
    """A fixture: no test of a file makes the process larger by `most` bytes."""

    @pytest.fixture(autouse=True)
    def memory_stays():
        if not CLEAR_REFS.exists():  # This system does not tell the peak.
            yield
            return
        with grows_by_less_than(most):
            yield

    return memory_stays


def read(reader, *arguments):
    """Whether the reader takes it; it may refuse it, in a line and soon."""
    begun = time.monotonic()
    faulthandler.dump_traceback_later(60, exit=True)
    try:
        reader(*arguments)
        return True
    except ValueError as error:
        assert "\n" not in str(error)
        return False
    finally:
        faulthandler.cancel_dump_traceback_later()
        assert time.monotonic() - begun < 5


def archive(contents, kind=zipfile.ZIP_STORED):
    """A zip archive of `contents`, by name, with the right checksums."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as writer:
        for name, content in contents.items():
            writer.writestr(name, content)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def png(width, height, colours, *chunks, interlaced=0):
    """A PNG file of 8 bits, with these chunks after its header."""
    kind = (8, colours, 0, 0, interlaced)
    header = struct.pack(">IIBBBBB", width, height, *kind)
    parts = [(b"IHDR", header), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data))
        + name
        + data
        + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )
