"""The launcher, with workers that do one thing each and start in no time."""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from keras_mnist_sum.__main__ import main
from keras_mnist_sum.distribution import launcher
from keras_mnist_sum.distribution.network_namespace import new_network
from keras_mnist_sum.errors import InputError
from keras_mnist_sum.formats.any_model import load_model

ROOT = Path(__file__).parents[2]

WORKER = """
import json, os, pathlib, signal, sys, time
task = json.loads(os.environ["TF_CONFIG"])
index, count = task["task"]["index"], len(task["cluster"]["worker"])
folder = pathlib.Path(sys.argv[1])
try_ = len(list(folder.glob(f"{index}-*")))
(folder / f"{index}-{try_}").write_text(str(os.getpid()))
while len(list(folder.glob("?-0"))) < count:
    time.sleep(0.02)
def beat():
    os.utime(os.environ["KERAS_MNIST_SUM_HEARTBEAT"])
def meet():
    (folder / f"ready-{index}").touch()
    while len(list(folder.glob("ready-*"))) < count:
        time.sleep(0.02)
def wait(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        beat(), time.sleep(0.05)
"""


@pytest.fixture
def launch(tmp_path, capfd):
    """Launches two workers that run some code; exit code, output, errors."""

    def launch(code, **named):
        program = tmp_path / "worker.py"
        program.write_text(WORKER + code)
        command = [str(program), str(tmp_path)]
        result = launcher.launch(command, workers=2, **named)
        return result, *capfd.readouterr()

    return launch


def gone(tmp_path):
    """Whether no process is left."""
    for path in tmp_path.glob("?-*"):
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.read_text()), 0)
    return True


def test_workers_know_their_cluster_and_lines_carry_their_number(launch):
    code, out, err = launch(
        "print(index, count, len(set(task['cluster']['worker'])))\n"
        "print('oh', file=sys.stderr)"
    )
    assert code == 0
    assert sorted(out.splitlines()) == ["[0] 0 2 2", "[1] 1 2 2"]
    assert sorted(err.splitlines()) == ["[0] oh", "[1] oh"]


@pytest.mark.parametrize("victim", [0, 1])
def test_restarts_all_when_a_worker_is_killed(launch, tmp_path, victim):
    code, out, _ = launch(
        f"if try_ == 0 and index == {victim}:\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if try_ == 0: wait(60)\n"
        "print('done')"
    )
    assert code == 0
    assert f"worker {victim} was ended by SIGKILL: starting all again" in out
    assert sorted(x for x in out.splitlines() if x[0] == "[") == [
        "[0] done",
        "[1] done",
    ]
    assert gone(tmp_path)


def test_restarts_all_when_a_worker_hangs(launch, tmp_path):
    """Even one that ignores all signals."""
    code, out, _ = launch(
        "if try_ == 0 and index == 1:\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "    time.sleep(60)\n"
        "if try_ == 0: wait(60)",
        timeout=1.5,
    )
    assert code == 0
    assert "worker 1 got no step done in 2 seconds: starting all again" in out
    assert gone(tmp_path)


def test_does_not_blame_a_worker_that_lost_another(launch):
    code, out, _ = launch(
        "if index == 0: sys.exit(4)\nwait(0.3)\nsys.exit(1)", max_restarts=0
    )
    assert code == 1
    assert out == "launch worker 1 ended with exit code 1\n"


def test_stops_after_max_restarts(launch, tmp_path):
    code, out, _ = launch("if index: sys.exit(1)\nwait(60)", max_restarts=2)
    assert code == 1
    assert "starting all again (2 of 2)" in out
    assert sorted(x.name for x in tmp_path.glob("1-*")) == ["1-0", "1-1", "1-2"]
    assert gone(tmp_path)


@pytest.mark.parametrize("final", [2, 3])
def test_does_not_retry_wrong_input_or_divergence(launch, tmp_path, final):
    code, out, _ = launch(f"if index: sys.exit({final})\nwait(60)")
    assert code == final
    assert "again" not in out and len(list(tmp_path.glob("1-*"))) == 1
    assert gone(tmp_path)


def start(tmp_path, code, *flags):
    program = tmp_path / "worker.py"
    program.write_text(WORKER + code)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "keras_mnist_sum",
            "launch",
            "--workers",
            "2",
            *flags,
            "--",
            program,
            tmp_path,
        ],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    await_both(
        process, lambda: [x for x in tmp_path.glob("?-0") if x.read_text()]
    )
    return process


def await_both(process, found):
    """Waits until two are found, while the launcher lives."""
    while len(found()) < 2:
        assert process.poll() is None
        time.sleep(0.05)


@pytest.mark.parametrize(
    "signum", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
)
def test_passes_a_signal_on_and_all_end(tmp_path, signum):
    process = start(
        tmp_path,
        "def stop(signum, frame):\n"
        "    print('saved', signum), sys.exit(128 + signum)\n"
        f"signal.signal({int(signum)}, stop)\n"
        "(folder / f'ready-{index}').touch()\n"
        "wait(60)",
    )
    await_both(process, lambda: list(tmp_path.glob("ready-*")))
    process.send_signal(signum)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 128 + signum
    assert f"[0] saved {int(signum)}" in out
    assert f"[1] saved {int(signum)}" in out
    assert "launch stopped: the same command goes on" in out
    assert gone(tmp_path)


def test_repeats_a_lost_sigterm(launch):
    """As TensorFlow drops one that comes while it connects the workers."""
    code, out, _ = launch(
        "def stop(*_): print('saved'), os._exit(143)\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "meet()\n"
        "if index == 0: os.kill(os.getppid(), signal.SIGTERM)\n"
        "wait(0.5)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "wait(60)"
    )
    assert code == 143
    assert sorted(out.splitlines()) == [
        "[0] saved",
        "[1] saved",
        "launch stopped: the same command goes on",
    ]


def test_kills_a_worker_that_does_not_stop_with_the_others(
    launch, tmp_path, monkeypatch
):
    """It may wait for one that has ended."""
    monkeypatch.setattr(launcher, "SAVE_SECONDS", 1)
    code, _, _ = launch(
        "if index: signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "if index: os.kill(os.getppid(), signal.SIGTERM)\n"
        "wait(60)\n"
        "(folder / 'survived').touch()"
    )
    assert code == 143 and not (tmp_path / "survived").exists()
    assert gone(tmp_path)


def test_signal_after_the_last_step_changes_nothing(launch):
    code, out, _ = launch(
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "meet()\n"
        "if index: os.kill(os.getppid(), signal.SIGTERM)\n"
        "wait(0.5)"
    )
    assert (code, out) == (0, "")


def test_workers_stop_when_the_launcher_is_killed(tmp_path):
    process = start(
        tmp_path,
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from keras_mnist_sum.distribution.heartbeat import beat\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(143))\n"
        "(folder / f'ready-{index}').touch()\n"
        "wait(60)",
    )
    await_both(process, lambda: list(tmp_path.glob("ready-*")))
    process.kill()
    process.communicate(timeout=20)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        with contextlib.suppress(BaseException):
            if gone(tmp_path):
                break
        time.sleep(0.1)
    assert gone(tmp_path)


def test_second_ctrl_c_kills_all(tmp_path):
    process = start(
        tmp_path,
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "(folder / f'ready-{index}').touch()\n"
        "wait(60)",
    )
    await_both(process, lambda: list(tmp_path.glob("ready-*")))
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    assert gone(tmp_path)


LISTENING = """
import socket
ports = [int(x.rpartition(":")[2]) for x in task["cluster"]["worker"]]
server = socket.create_server(("", ports[index]))
meet()
socket.create_connection(("127.0.0.1", ports[1 - index])).close()
(folder / f"port-{index}").write_text(str(ports[index]))
wait(60)
"""


def can_connect(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        return True
    return False


@pytest.mark.parametrize("shared", [False, True])
def test_workers_reach_each_other_and_strangers_do_not(tmp_path, shared):
    """Unless they are told to share this machine's network."""
    with new_network() as permitted:
        if not permitted:
            pytest.skip("network namespaces are not permitted here")
    process = start(tmp_path, LISTENING, *["--share-network"] * shared)
    await_both(
        process, lambda: [x for x in tmp_path.glob("port-?") if x.read_text()]
    )
    for path in tmp_path.glob("port-?"):
        assert can_connect(int(path.read_text())) == shared
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=20)
    word = "close them to others by a firewall" if shared else "of their own"
    assert word in out.splitlines()[0]


def test_ports_that_strangers_can_reach_are_a_warning(
    launch, monkeypatch, caplog
):
    """Where the system permits no network of their own."""
    refused = contextlib.nullcontext([])
    monkeypatch.setattr(launcher, "new_network", lambda: refused)
    code, out, _ = launch(
        "print(*(x.split(':')[1] for x in task['cluster']['worker']))"
    )
    assert code == 0
    [warning] = caplog.messages
    first, second = out.splitlines()[0].split()[1:]
    assert f"ports {first}, {second} can read and write files" in warning


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--workers", "0", "--", __file__], "Received: workers=0"),
        (["--workers", "2", "--", "nowhere.py"], "Received: 'nowhere.py'"),
        (["--workers", "2"], "required: program"),
        (
            ["--workers", "2", "--max-restarts", "-1", "--", __file__],
            "max_restarts=-1",
        ),
        (["--workers", "2", "--timeout", "0", "--", __file__], "timeout=0"),
    ],
)
def test_rejects_wrong_arguments_in_one_line(capsys, arguments, message):
    try:
        code = main(["launch", *arguments])
    except SystemExit as stop:
        code = stop.code
    error = capsys.readouterr().err
    assert code == 2 and error.startswith("error: ") and message in error
    assert error.count("\n") == 1


def test_launcher_needs_no_tensorflow():
    code = (
        "import sys, keras_mnist_sum.__main__\n"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """A machine on which nvidia-smi finds five GPUs."""
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\nprintf 'GPU-%s\\n' a b c d e\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


SEEN = "print(os.environ.get('CUDA_VISIBLE_DEVICES'))"


@pytest.mark.parametrize(
    "visible, seen",
    [
        (None, ["GPU-a,GPU-b", "GPU-c,GPU-d"]),
        ("3,5", ["3", "5"]),
        ("-1", ["-1", "-1"]),
        ("NoDevFiles", ["NoDevFiles"] * 2),
        ("0, 1,-1,2", ["0", "1"]),
    ],
)
def test_workers_share_the_gpus(launch, nvidia_smi, monkeypatch, visible, seen):
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    code, out, _ = launch(SEEN)
    assert code == 0
    assert sorted(out.split()[1::2]) == seen


def test_driver_without_devices_means_no_gpus(launch, nvidia_smi, tmp_path):
    (tmp_path / "nvidia-smi").write_text("#!/bin/sh\necho No devices found\n")
    assert launch(SEEN)[1].split()[1::2] == ["None", "None"]


def test_launch_ends_when_nobody_reads(tmp_path):
    program = tmp_path / "worker.py"
    program.write_text("while True: print('line' * 1000, flush=True)")
    launch = [sys.executable, "-m", "keras_mnist_sum", "launch"]
    with subprocess.Popen(
        [*launch, "--workers", "2", "--", program],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read() == b""


def test_rejects_more_workers_than_gpus(launch, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(InputError, match="Received: workers=2, GPUs: 1"):
        launch(SEEN)


def test_rejects_a_missing_program():
    with pytest.raises(InputError, match="after --. Received: ''"):
        launcher.launch([], workers=2)


KILLED_WORKER = """
import json, os, pathlib, signal, sys
sys.path.insert(0, sys.argv[1])
from tests import interrupted
import train
index = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
folder = pathlib.Path(sys.argv[2])
plan = json.loads((folder / "plan.json").read_text())
try_ = len(list(folder.glob(f"{index}-*")))
(folder / f"{index}-{try_}").touch()
victim, step = [*plan, (None, None)][min(try_, len(plan))]
if victim == index and try_ % 3 == 1:
    interrupted.fail_at_step(step)
elif victim == index:
    interrupted.signal_at_step(step, signal.SIGKILL)
sys.exit(train.main(sys.argv[3:]))
"""


@pytest.mark.slow
def test_killed_workers_end_with_the_same_bits(npz, tmp_path, capfd):
    """To the bit, at random steps; in one round of three by an error.

    `ROUNDS` in the environment says how often.
    """
    draw = random.Random(0)
    rounds = int(os.environ.get("ROUNDS", 2))
    plans = {
        "whole": [],
        "killed": [(i % 2, draw.randint(1, 5)) for i in range(rounds)],
    }
    weights = []
    for name, plan in plans.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "plan.json").write_text(json.dumps(plan))
        program = folder / "worker.py"
        program.write_text(KILLED_WORKER)
        flags = (
            f"--preset fast --data {npz} --steps 36 --batch-size 8 "
            f"--checkpoint-every 1 --run-dir {folder / 'run'}"
        )
        code = launcher.launch(
            [str(program), str(ROOT), str(folder), *flags.split()],
            workers=2,
            max_restarts=rounds,
        )
        assert code == 0
        said = capfd.readouterr().out
        assert said.count("starting all again") == len(plan)
        assert said.count("test   MNIST from") == 1
        model = load_model(folder / "run" / "model.keras")
        weights.append(np.concatenate([x.ravel() for x in model.get_weights()]))
    np.testing.assert_array_equal(*weights)
