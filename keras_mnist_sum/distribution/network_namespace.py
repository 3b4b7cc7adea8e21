"""A network of their own for some processes, where Linux permits one.

TensorFlow's workers listen on all interfaces, and do what anyone who connects
tells them (https://github.com/tensorflow/tensorflow/blob/master/SECURITY.md).
In a network namespace with a loopback interface alone nobody else can connect,
and they reach nobody else
(https://man7.org/linux/man-pages/man7/network_namespaces.7.html).

This file is also a program: it makes such a namespace, or enters one and
becomes another program. Python 3.11 has no functions for that, so it asks libc.
"""

import contextlib
import ctypes
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Sequence

_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000  # <linux/sched.h>
_SET_FLAGS, _UP = 0x8914, 1  # SIOCSIFFLAGS, IFF_UP
_PROGRAM = (sys.executable, "-I", __file__)


@contextlib.contextmanager
def new_network() -> Iterator[list[int]]:
    """Makes a network namespace, which lasts while it is open or used.

    Yields:
        The file descriptors of the namespaces to enter, for `command_within`;
        none where the system does not permit one.
    """
    with contextlib.ExitStack() as stack:
        descriptors: list[int] = []
        with (
            subprocess.Popen(
                _PROGRAM,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ) as maker,
            contextlib.suppress(OSError),
        ):
            for line in maker.stdout or ():  # One, or none.
                for kind in line.split():
                    path = f"/proc/{maker.pid}/ns/{kind}"
                    descriptors.append(os.open(path, os.O_RDONLY))
                    stack.callback(os.close, descriptors[-1])
                break
        yield descriptors


def command_within(
    descriptors: Sequence[int], command: Sequence[str]
) -> list[str]:
    """The command that runs `command` in the namespaces `descriptors`, which
    must be passed on to its process; `command` itself, if there are none."""
    if not descriptors:
        return list(command)
    return [*_PROGRAM, ",".join(map(str, descriptors)), *command]


def _make() -> list[str]:
    """Moves this process into a new network, and returns the kinds of its
    namespaces in the order in which to enter them.

    Only root may have a network without other users: as another user root
    could not write everyone's files any more.
    """
    kinds = ["net"]
    try:
        _call("unshare", _NEW_NETWORK)
    except OSError:
        user, group = os.geteuid(), os.getegid()
        _call("unshare", _NEW_USER | _NEW_NETWORK)
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
        kinds = ["user", "net"]
    import fcntl  # not on Windows

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH22x", b"lo", _UP)
        fcntl.ioctl(any_socket, _SET_FLAGS, request)
    return kinds


def _call(name: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments):
        raise OSError(ctypes.get_errno(), name)


def _main() -> None:
    if len(sys.argv) == 1:
        print(*_make(), flush=True)
        sys.stdin.read()  # Until the namespaces have been opened.
        return
    for descriptor in map(int, sys.argv[1].split(",")):
        _call("setns", descriptor, 0)
        os.close(descriptor)
    os.execv(sys.argv[2], sys.argv[2:])


if __name__ == "__main__":
    _main()
