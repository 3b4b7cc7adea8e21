"""What a worker tells its launcher."""

import os
import time

from keras_mnist_sum.distribution import heartbeat


def test_beat_outside_a_launch_does_nothing(monkeypatch):
    monkeypatch.delenv(heartbeat.HEARTBEAT, raising=False)
    assert not heartbeat.is_watched()
    heartbeat.beat()


def test_beat_touches_the_file_of_the_launcher(monkeypatch, tmp_path):
    path = tmp_path / "heartbeat"
    path.touch()
    os.utime(path, (0, 0))
    monkeypatch.setenv(heartbeat.HEARTBEAT, str(path))
    monkeypatch.setenv(heartbeat.LAUNCHER, str(os.getppid()))
    assert heartbeat.is_watched()
    heartbeat.beat()
    assert path.stat().st_mtime > 0


def test_setting_the_clock_makes_no_worker_silent(tmp_path):
    file = heartbeat.HeartbeatFile(tmp_path / "heartbeat")
    for touched in (10**9, 0, 2 * 10**9):
        os.utime(file.path, (touched, touched))
        assert file.seconds_silent() == 0
    time.sleep(0.1)
    assert 0.1 <= file.seconds_silent() < 60
