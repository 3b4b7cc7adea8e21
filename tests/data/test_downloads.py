"""What a server may do to a download; a failed one leaves nothing."""

import gzip
import hashlib
import http.server
import multiprocessing
import resource
import signal
import socket
import threading
import time

import numpy as np
import pytest

from keras_mnist_sum.data import downloads
from keras_mnist_sum.data import tfds_mnist
from keras_mnist_sum.data.sources import load_mnist
from keras_mnist_sum.errors import InputError
from tests.data.test_sources import idx

TRAIN, TEST = 12, 5


def files(digits):
    """A very small MNIST, as its mirror has it."""
    images, labels = digits
    arrays = {
        "train-images-idx3-ubyte.gz": images[:TRAIN],
        "train-labels-idx1-ubyte.gz": labels[:TRAIN],
        "t10k-images-idx3-ubyte.gz": images[:TEST],
        "t10k-labels-idx1-ubyte.gz": labels[:TEST],
    }
    return {name: gzip.compress(idx(array)) for name, array in arrays.items()}


class Mirror(http.server.BaseHTTPRequestHandler):
    """Sends files; `trouble(handler, name, content)` sends one instead."""

    contents: dict
    trouble = None
    victim = "train-images-idx3-ubyte.gz"
    asked: list

    def do_GET(self):
        name = self.path[1:]
        self.asked.append(name)
        content = self.contents[name]
        if self.trouble and name == self.victim:
            return self.trouble(name, content)
        self.reply(content)

    def reply(self, content, status=200, kind="application/gzip", length=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length or len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


def use(monkeypatch, url, contents):
    """Has the package take this for MNIST's mirror."""
    import tensorflow_datasets.image_classification.mnist as module

    known = {
        name: (len(content), hashlib.sha256(content).hexdigest())
        for name, content in sorted(contents.items(), key=lambda x: len(x[1]))
    }
    monkeypatch.setattr(tfds_mnist, "FILES", known)
    monkeypatch.setattr(tfds_mnist, "MIRROR", url)
    monkeypatch.setattr(tfds_mnist, "COUNTS", {"train": TRAIN, "test": TEST})
    monkeypatch.setattr(module, "_TRAIN_EXAMPLES", TRAIN)
    monkeypatch.setattr(module, "_TEST_EXAMPLES", TEST)
    monkeypatch.setattr(downloads, "TIMEOUT", 0.5)
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def mirror(monkeypatch, digits):
    """A mirror on this machine; the fixture's value is its handler class."""
    handler = type("Handler", (Mirror,), {"contents": files(digits)})
    handler.asked = []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *arguments: None  # The client has left.
    handler.url = f"http://127.0.0.1:{server.server_port}/"
    use(monkeypatch, handler.url, handler.contents)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_download_is_prepared_once_and_then_read_without_the_network(
    mirror, digits, tmp_path, capfd, caplog
):
    caplog.set_level("INFO", "keras_mnist_sum")
    folder = tmp_path / "new" / "folder"
    for _ in range(2):
        mnist = load_mnist("auto", str(folder))
        assert mnist.source == "tfds" and not mnist.warning
        # tensorflow-datasets shuffles what it prepares.
        for part, count in (("train", TRAIN), ("test", TEST)):
            found = zip(
                getattr(mnist, f"{part}_images"),
                getattr(mnist, f"{part}_labels"),
            )
            expected = zip(digits[0][:count], digits[1][:count])
            assert sorted((x.tobytes(), y) for x, y in found) == sorted(
                (x.tobytes(), y) for x, y in expected
            )
    probed, *asked = mirror.asked
    assert probed in asked and sorted(asked) == sorted(mirror.contents)
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split()[1] for line in lines] == ["downloading", "preparing"]
    assert [path.name for path in folder.iterdir()] == ["mnist"]
    assert capfd.readouterr() == ("", "")


def truncated(handler, name, content):
    handler.reply(content[: len(content) // 2], length=len(content))


def cut_short(handler, name, content):
    handler.reply(content[:-1])


def corrupted(handler, name, content):
    content = bytearray(content)
    content[len(content) // 2] ^= 1
    handler.reply(bytes(content))


def endless(handler, name, content):
    handler.reply(content + bytes(2**24), length=2**40)


def stalled(handler, name, content):
    handler.reply(content[:100], length=len(content))
    time.sleep(3)


def trickling(handler, name, content):
    handler.reply(b"", length=len(content))
    for byte in content[:30]:
        handler.wfile.write(bytes([byte]))
        time.sleep(0.1)


def broken(handler, name, content):
    handler.reply(b"sorry", status=500)


def login_page(handler, name, content):
    handler.reply(b"<html>Log in to this network</html>", kind="text/html")


def babble(handler, name, content):
    handler.wfile.write(b"\x00\xff" * 100)
    handler.close_connection = True


def endless_chunks(handler, name, content):
    """And an endless end of them."""
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"0\r\n")
    for _ in range(100):
        handler.wfile.write(b"x: y\r\n")
        time.sleep(0.02)


TROUBLES = {
    truncated: r"broke off after [\d,]+ of [\d,]+ bytes",
    cut_short: "is not what it should be: .* bytes of application/gzip",
    corrupted: "is not what it should be: SHA-256",
    endless: "is not what it should be: 1099511627776 bytes",
    endless_chunks: "is not what it should be: some bytes",
    stalled: "broke off",
    trickling: "too slowly",
    broken: "the server says 500",
    login_page: "is not what it should be: 35 bytes of text/html",
    babble: "no usable answer: ",
}


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda x: x.__name__)
def test_bad_download_is_one_clear_line_and_leaves_nothing(
    mirror, tmp_path, monkeypatch, capfd, trouble
):
    mirror.trouble = trouble
    folder = tmp_path / "data_dir"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(InputError, match=TROUBLES[trouble]) as error:
        load_mnist("tfds", str(folder))
    assert "\n" not in str(error.value)
    assert str(error.value).endswith(f"Received: data_dir={str(folder)!r}")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert capfd.readouterr() == ("", "")


def test_next_run_tries_a_failed_download_again(mirror, tmp_path):
    mirror.trouble = broken
    mnist = load_mnist("auto", str(tmp_path))
    assert mnist.source == "sample"
    assert "(the server says 500 Internal Server Error)" in mnist.warning
    mirror.trouble = None
    assert load_mnist("auto", str(tmp_path)).source == "tfds"


def prepare(url, contents, folder, results):
    """What each of two processes does at the same time."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        use(monkeypatch, url, contents)
        mnist = load_mnist("tfds", folder)
    results.put((mnist.source, len(mnist.train_images)))


def test_two_processes_that_prepare_at_once_both_succeed(mirror, tmp_path):
    """And remove what one that was killed has left."""
    litter = tmp_path / f"{tfds_mnist.TEMPORARY}killed" / "mnist"
    litter.mkdir(parents=True)
    context = multiprocessing.get_context("forkserver")
    results = context.Queue()
    arguments = (mirror.url, mirror.contents, str(tmp_path), results)
    racers = [context.Process(target=prepare, args=arguments) for _ in range(2)]
    for process in racers:
        process.start()
    for process in racers:
        process.join(100)
    assert [results.get(timeout=1) for _ in racers] == [("tfds", TRAIN)] * 2
    assert [path.name for path in tmp_path.iterdir()] == ["mnist"]
    [version] = (tmp_path / "mnist").iterdir()
    assert version.name == "3.0.1"


def test_full_disk_while_preparing_is_one_clear_line(mirror, tmp_path, caplog):
    caplog.set_level("INFO", "keras_mnist_sum")

    def fill_disk(record):
        if "preparing" in record.getMessage():
            resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
        return True

    caplog.handler.addFilter(fill_disk)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with pytest.raises(InputError, match="cannot be downloaded"):
            load_mnist("tfds", str(tmp_path))
    finally:
        caplog.handler.removeFilter(fill_disk)
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert not list(tmp_path.rglob("*.tfrecord*"))
    assert load_mnist("tfds", str(tmp_path)).source == "tfds"


def test_names_the_folder_of_an_incomplete_set(mirror, tmp_path):
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / "features.json").touch()
    for data in ("tfds", "auto"):
        with pytest.raises(InputError, match="remove it. Received: .*3.0.1"):
            load_mnist(data, str(tmp_path))


def test_refused_connection_is_not_called_no_network(
    mirror, monkeypatch, tmp_path
):
    monkeypatch.setattr(tfds_mnist, "MIRROR", "http://127.0.0.1:9/")
    with pytest.raises(InputError, match=r"\(no usable answer: .*refused"):
        load_mnist("tfds", str(tmp_path))


def test_folder_that_cannot_be_written_is_one_clear_line(mirror, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"\(Not a directory\).*Received"):
        load_mnist("tfds", str(tmp_path / "file" / "below"))


@pytest.fixture
def silent_server(monkeypatch, digits):
    """A mirror that takes connections and never answers."""
    import tensorflow_datasets  # noqa: F401  (its import is not the network)

    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        monkeypatch.setattr(tfds_mnist, "MIRROR", url)
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        yield


def test_no_network_is_noticed_within_5_seconds(silent_server, tmp_path):
    start = time.monotonic()
    with pytest.raises(InputError, match="no network.*Received: data_dir="):
        load_mnist("tfds", str(tmp_path))
    assert time.monotonic() - start < 5
    assert not list(tmp_path.iterdir())


def test_endless_name_lookup_is_no_network(monkeypatch, tmp_path):
    """Such a look-up has no limit of time of its own."""
    import tensorflow_datasets  # noqa: F401  (its import takes seconds)

    over = threading.Event()

    def look_up(*arguments, **named):
        over.wait(10)
        raise socket.gaierror

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(downloads, "TIMEOUT", 0.3)
    start = time.monotonic()
    with pytest.raises(InputError, match="no network"):
        load_mnist("tfds", str(tmp_path))
    assert time.monotonic() - start < 5
    over.set()


def test_mirror_and_checksums_are_those_of_tensorflow_datasets():
    from tensorflow_datasets.image_classification import mnist

    known = mnist.MNIST(data_dir="/nowhere").url_infos
    for name, (size, sha256) in tfds_mnist.FILES.items():
        info = known[tfds_mnist.MIRROR + name]
        assert (info.size, info.checksum) == (size, sha256)


def test_default_data_dir_is_that_of_tensorflow_datasets(
    silent_server, monkeypatch, tmp_path
):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.3)
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match=f"{tmp_path}/tensorflow_datasets'"):
        load_mnist("tfds")


def test_auto_without_network_takes_the_sample_and_says_so(
    silent_server, monkeypatch, tmp_path
):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.3)
    mnist = load_mnist("auto", str(tmp_path))
    assert mnist.source == "sample"
    assert "no network" in mnist.warning and "5,000" in mnist.warning


def test_data_dir_comes_from_the_environment(
    silent_server, monkeypatch, tmp_path
):
    monkeypatch.setattr(downloads, "TIMEOUT", 0.3)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "of_env"))
    with pytest.raises(InputError, match="of_env"):
        load_mnist("tfds")


def test_test_set_alone_is_read_after_a_download(mirror, tmp_path):
    mnist = load_mnist("tfds", str(tmp_path), test_only=True)
    assert mnist.test_images.shape == (TEST, 28, 28)
    assert mnist.test_images.dtype == np.uint8
