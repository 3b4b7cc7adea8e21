"""SIGINT, SIGTERM and SIGHUP."""

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


@pytest.mark.parametrize(
    "variables, code",
    [
        ({}, 143),
        ({heartbeat.HEARTBEAT: "a file"}, 0),
        ({"SLURM_STEP_ID": "0"}, 0),
    ],
)
def test_second_signal_ends_the_process_unless_a_launcher_does(variables, code):
    process = subprocess.run(
        [sys.executable, "-c", SECOND],
        cwd=ROOT,
        env={**os.environ, **variables},
    )
    assert process.returncode == code


def test_ignored_hangup_stays_ignored():
    """As under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequests() as requests:
            signal.raise_signal(signal.SIGHUP)
        assert requests.received is None
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


TERMINAL = """
import fcntl, os, signal, sys, termios, time
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.errors import Stopped
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
try:
    with StopRequests() as requests, requests.deferred():
        print("ready", flush=True)
        while requests.received is None:
            time.sleep(0.01)
        print("a line for nobody", flush=True)
        signal.raise_signal(signal.SIGHUP)
        open(sys.argv[1], "w").close()
except Stopped as stop:
    print(stop, file=sys.stderr, flush=True)
    sys.exit(128 + stop.signum)
"""


def test_closed_terminal_leaves_time_to_save(tmp_path):
    """Though printing fails, and the shell and the system both tell of it."""
    terminal, end = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TERMINAL, tmp_path / "saved"],
        cwd=ROOT,
        stdin=end,
        stdout=end,
        stderr=end,
    )
    os.close(end)
    assert os.read(terminal, 100).startswith(b"ready")
    os.close(terminal)
    assert process.wait(30) == 129
    assert (tmp_path / "saved").exists()


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
