"""Several workers on this machine, watched: all go on together, or again."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from typing import TextIO

from keras_mnist_sum.distribution import heartbeat
from keras_mnist_sum.distribution import launch_arguments
from keras_mnist_sum.distribution.cluster import Cluster
from keras_mnist_sum.distribution.cluster import free_addresses
from keras_mnist_sum.distribution.gpus import share_gpus
from keras_mnist_sum.distribution.network_namespace import command_within
from keras_mnist_sum.distribution.network_namespace import new_network
from keras_mnist_sum.distribution.signals import HANGUP
from keras_mnist_sum.distribution.signals import StopRequests
from keras_mnist_sum.distribution.signals import drop_lost_terminal
from keras_mnist_sum.distribution.signals import handle_signals
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.errors import shown
from keras_mnist_sum.utils.arguments import as_flag
from keras_mnist_sum.utils.arguments import as_integer
from keras_mnist_sum.utils.standard_streams import writable

# Exit codes after which nothing is started again: done, wrong input,
# divergence, stopped by SIGHUP or SIGINT, nobody reads, stopped by SIGTERM.
_FINAL = (0, 2, 3, 129, 130, 141, 143)
_EXIT_SECONDS = 5.0  # in which workers end by themselves
SAVE_SECONDS = 15.0  # in which the others end once one has stopped
_RESEND_SECONDS = 1.0  # between two SIGTERM
_MOST_WORKERS = 1000

_logger = logging.getLogger(__name__)


def launch(
    command: launch_arguments.Command,
    workers: int,
    max_restarts: int = 3,
    timeout: float = 300.0,
    share_network: bool = False,
) -> int:
    """Runs `command` in several processes that train together.

    Each finds the others by `TF_CONFIG`, and has its share of this machine's
    GPUs to itself. Their output appears line by line behind their numbers. When
    one fails, or gets no step done in `timeout` seconds, all are killed and
    started again, to go on from the newest checkpoint; not where that is of no
    use, since the input is wrong or training diverged. SIGINT, SIGTERM and
    SIGHUP are passed on, SIGTERM until all have ended; a second one kills all.

    Workers take orders from whoever reaches their ports. So they get a network
    of their own, without a way out, where the system permits that; where not, a
    warning names the ports.

    Args:
        command: A Python program and its arguments: `["train.py", ...]`, or
            `["-m", "module", ...]`; one without arguments may stand alone.
        workers: Number of processes.
        max_restarts: How often all may be started again.
        timeout: Seconds.
        share_network: Whether workers use this machine's network all the same,
            for a program that needs it.

    Returns:
        The exit code: 0, that of the worker that failed first (128 + its
        number for one ended by a signal), or 128 + the number of the signal
        that was passed on.

    Raises:
        InputError: If the numbers are not positive, the program is missing,
            there are more workers than GPUs, or the system starts none.
    """
    workers = as_integer(workers, "workers", 1, _MOST_WORKERS)
    max_restarts = as_integer(max_restarts, "max_restarts", 0)
    timeout = launch_arguments.as_seconds(timeout, "timeout")
    share_network = as_flag(share_network, "share_network")
    words = launch_arguments.as_words(command)
    shares = share_gpus(workers)
    restarts = 0
    received: list[int] = []

    def receive(signum: int, frame: object) -> None:
        if signum == HANGUP:
            drop_lost_terminal()
        if not (received and signum == HANGUP):  # It may come twice.
            received.append(signum)

    with (
        tempfile.TemporaryDirectory() as folder,
        handle_signals(dict.fromkeys(StopRequests.SIGNALS, receive)),
        contextlib.ExitStack() as stack,
    ):
        network: list[int] = []
        if not share_network:
            network = stack.enter_context(new_network())
        if network:
            _logger.info(
                "launch workers have a network of their own, without the "
                "internet: data must be here (or --share-network)"
            )
        while True:
            job = _Job(received, network)
            try:
                job.start(words, shares, Path(folder))
                code, reason = job.watch(timeout)
            finally:
                job.kill()
            if code and received:
                _say("stopped: the same command goes on")
                return 128 + received[0]
            if code in _FINAL or restarts == max_restarts:
                if code:
                    _say(reason)
                return code
            restarts += 1
            _say(f"{reason}: starting all again ({restarts} of {max_restarts})")


class _Job:
    """The processes of one try.

    Args:
        received: Grows by each signal that the launcher gets.
        network: The namespaces to run in, if any.
    """

    def __init__(self, received: list[int], network: list[int]) -> None:
        self.received = received
        self.network = network
        self.heartbeats: list[heartbeat.HeartbeatFile] = []
        self.processes: list[subprocess.Popen] = []
        self.pumps: list[threading.Thread] = []
        self.unread = threading.Event()

    def start(
        self,
        command: Sequence[str],
        shares: list[dict[str, str]],
        folder: Path,
    ) -> None:
        """Starts a worker for each of `shares`, variables of its own."""
        addresses = free_addresses(len(shares))
        if not self.network:
            ports = ", ".join(x.rpartition(":")[2] for x in addresses)
            _logger.warning(
                "whoever can reach this machine's ports "
                f"{ports} can read and write files through the workers: close "
                "them to others by a firewall"
            )
        for index, share in enumerate(shares):
            file = heartbeat.HeartbeatFile(folder / str(index))
            process = _started(
                command_within(self.network, [sys.executable, *command]),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                encoding="utf-8",
                errors="replace",
                env={
                    **os.environ,
                    **share,
                    "TF_CONFIG": Cluster(addresses, index).to_tf_config(),
                    "PYTHONUNBUFFERED": "1",
                    "PYTHONIOENCODING": "utf-8",  # as it is read here
                    heartbeat.HEARTBEAT: str(file.path),
                    heartbeat.LAUNCHER: str(os.getpid()),
                },
                start_new_session=True,  # Ctrl-C reaches them through us.
                pass_fds=self.network,
            )
            self.heartbeats.append(file)
            self.processes.append(process)
            self._pump(process.stdout, sys.stdout, index)
            self._pump(process.stderr, sys.stderr, index)

    def watch(self, timeout: float) -> tuple[int, str]:
        """Waits for the end of all, or for trouble.

        Returns:
            The exit code, and what happened, in a few words.
        """
        while True:
            codes = self._exit_codes()
            if self.received:
                return self._stop(timeout)
            if self.unread.is_set():
                return 141, "nobody reads"
            if any(codes):
                return self._diagnose()
            if None not in codes:
                return 0, "done"
            for index, file in enumerate(self.heartbeats):
                if codes[index] is None and file.seconds_silent() > timeout:
                    return 1, (
                        f"worker {index} got no step done in "
                        f"{timeout:.0f} seconds"
                    )
            time.sleep(0.1)

    def _exit_codes(self) -> list[int | None]:
        return [process.poll() for process in self.processes]

    def _stop(self, timeout: float) -> tuple[int, str]:
        """Passes a signal on, and waits for the end of all."""
        signum = self.received[0]
        deadline = time.monotonic() + timeout
        self._send(signum)
        sent = time.monotonic()
        while True:
            now = time.monotonic()
            codes = self._exit_codes()
            if None not in codes:
                return int(any(codes)), "stopped"
            if codes.count(None) < len(codes):  # No one goes on alone.
                deadline = min(deadline, now + SAVE_SECONDS)
            if now > deadline or len(self.received) > 1:
                return 1, "killed"
            if signum == signal.SIGTERM and now > sent + _RESEND_SECONDS:
                # TensorFlow drops one that comes as it connects the workers.
                self._send(signum)
                sent = now
            time.sleep(0.1)

    def _diagnose(self) -> tuple[int, str]:
        """Which worker failed by itself: exit code 4 says that another did."""
        end = time.monotonic() + _EXIT_SECONDS
        while True:
            codes = self._exit_codes()
            failed = {i: code for i, code in enumerate(codes) if code}
            own = {i: code for i, code in failed.items() if code != 4}
            own = {i: x for i, x in own.items() if x in _FINAL} or own
            if own or None not in codes or time.monotonic() > end:
                break
            time.sleep(0.1)
        index, code = next(iter((own or failed).items()))
        if code < 0:
            names = {each.value: each.name for each in signal.Signals}
            name = names.get(-code, f"signal {-code}")
            return 128 - code, f"worker {index} was ended by {name}"
        return code, f"worker {index} ended with exit code {code}"

    def _pump(self, source: Any, target: TextIO | None, index: int) -> None:
        """Has a thread write each line behind the worker's number."""

        def pump() -> None:
            with source:
                for line in source:
                    if target is None:  # It is closed.
                        continue
                    try:
                        target.write(writable(f"[{index}] {line}", target))
                        target.flush()
                    except (OSError, ValueError):
                        self.unread.set()  # And read on: workers write on.

        self.pumps.append(threading.Thread(target=pump, daemon=True))
        self.pumps[-1].start()

    def _send(self, signum: int) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signum)

    def kill(self) -> None:
        """Ends all that are left, with all that they started."""
        for process in self.processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for pump in self.pumps:
            pump.join(_EXIT_SECONDS)


def _started(command: list[str], **named: Any) -> subprocess.Popen:
    try:
        return subprocess.Popen(command, **named)
    except OSError as error:
        raise InputError(
            "The system must let a worker be started. "
            f"Received: {shown(error.strerror)} for {shown(command[-1])}"
        ) from error


def _say(text: str) -> None:
    print(f"launch {text}", flush=True)
