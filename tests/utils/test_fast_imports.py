"""What a large import leaves out, and that all is as before afterwards."""

import gc
import importlib
import importlib.util
import subprocess
import sys

import pytest

from keras_mnist_sum.utils import fast_imports

ABSENT = ["wave", "xml.dom.minidom"]  # of the standard library, rarely used


@pytest.fixture
def absent(monkeypatch):
    for name in ABSENT:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize("name", ABSENT)
def test_a_module_is_missing_in_the_block_and_there_afterwards(absent, name):
    with fast_imports.without(ABSENT):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
        assert importlib.util.find_spec(name) is None
    assert name not in sys.modules
    assert importlib.import_module(name)


def test_modules_are_back_where_the_block_fails(absent):
    with pytest.raises(ZeroDivisionError), fast_imports.without(ABSENT):
        _ = 1 / 0
    assert all(map(importlib.import_module, ABSENT))


def test_what_was_imported_before_stays():
    json = sys.modules["json"]
    with fast_imports.without(["json"]):
        assert importlib.import_module("json") is json
    assert sys.modules["json"] is json


@pytest.mark.parametrize("was_enabled", [True, False])
def test_garbage_is_collected_again_after_the_block(was_enabled):
    frozen = gc.get_freeze_count()
    try:
        gc.enable() if was_enabled else gc.disable()
        with (
            pytest.raises(ZeroDivisionError),
            fast_imports.without_collection(),
        ):
            assert not gc.isenabled()
            _ = 1 / 0
        assert gc.isenabled() == was_enabled
        assert gc.get_freeze_count() == frozen
    finally:
        gc.enable()


def test_objects_are_looked_through_no_more_where_that_is_said():
    program = (
        "import gc\n"
        "from keras_mnist_sum.utils import fast_imports\n"
        "with fast_imports.without_collection(for_good=True):\n"
        "    kept = [[] for _ in range(10_000)]\n"
        "print(gc.isenabled(), gc.get_freeze_count() > 10_000)\n"
    )
    command = [sys.executable, "-c", program]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    assert result.stdout == "True True\n"
