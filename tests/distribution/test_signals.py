"""SIGINT and SIGTERM."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from keras_mnist_sum.distribution import heartbeat
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.errors import Stopped

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("signum", StopRequests.SIGNALS)
def test_signal_stops_at_once_and_handlers_come_back(signum):
    before = signal.getsignal(signum)
    with pytest.raises(Stopped) as stop, StopRequests() as requests:
        signal.raise_signal(signum)
    assert stop.value.signum == requests.received == signum
    assert signal.getsignal(signum) is before


def test_deferred_signal_is_obeyed_at_the_end_of_the_block():
    done = []
    with pytest.raises(Stopped), StopRequests() as requests:
        with requests.deferred():
            signal.raise_signal(signal.SIGTERM)
            done.append(requests.received)
        done.append("not reached")
    assert done == [signal.SIGTERM]


def test_signal_after_a_block_that_failed_stops_at_once():
    with pytest.raises(Stopped), StopRequests() as requests:
        with pytest.raises(ValueError), requests.deferred():
            raise ValueError
        signal.raise_signal(signal.SIGTERM)


SECOND = """
import os, signal
from keras_mnist_sum.distribution.signals import StopRequests
with StopRequests() as requests, requests.deferred():
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    os._exit(0)
"""


@pytest.mark.parametrize("watched, code", [("", 143), ("a file", 0)])
def test_second_signal_ends_the_process_unless_a_launcher_does(watched, code):
    process = subprocess.run(
        [sys.executable, "-c", SECOND],
        cwd=ROOT,
        env={**os.environ, heartbeat.HEARTBEAT: watched},
    )
    assert process.returncode == code


def test_other_threads_change_no_handlers():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work():
        with StopRequests():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_needs_no_tensorflow():
    code = (
        "import sys\n"
        "from keras_mnist_sum.distribution import cluster, heartbeat, signals\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
