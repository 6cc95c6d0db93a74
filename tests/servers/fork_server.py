"""The process whose forks are servers: what is the same for all is read once, and each is a fork of that.

Runs as ``python -m tests.servers.fork_server FD BUGS``: orders come in on the socket FD, each with the
descriptors of a server's stdout and stderr and of a third one that is told of it; BUGS is a module that can
plant a bug in a fork, or empty. A fork costs a tenth of a fresh interpreter, so that a storm is made of kills
and not of imports. A minder between the two waits for the server and tells its pid and how it ended, a line
each. Whoever dies takes its children along.
"""

import ctypes
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

import imageedit_server.cli.app
from imageedit_server.runtime import failpoints
from tests.servers import read_once  # noqa: F401  its import is its work

PR_SET_PDEATHSIG = 1
MAX_ORDER_BYTES = 64 * 1024

Plant = Callable[[str], None]


def main() -> None:
    """Fork for every order, until the harness is gone."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries the minders
    descriptor, bugs = sys.argv[1:]
    planting = importlib.import_module(bugs).plant if bugs else _no_bug
    with socket.socket(fileno=int(descriptor)) as channel:
        while True:
            order, descriptors, _, _ = socket.recv_fds(channel, MAX_ORDER_BYTES, 3)
            if not order:
                return
            if os.fork() == 0:
                channel.close()
                _mind(json.loads(order), planting, *descriptors)
            for each in descriptors:
                os.close(each)


def _mind(order: dict[str, object], plant: Plant, out: int, err: int, told: int) -> NoReturn:
    _die_with_parent()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    server = os.fork()
    if server == 0:
        _serve(order, plant, out, err)
    os.close(out)
    os.write(told, f"{server}\n".encode())
    _, status = os.waitpid(server, 0)
    os.write(told, f"{os.waitstatus_to_exitcode(status)}\n".encode())
    os._exit(0)


def _serve(order: dict[str, object], plant: Plant, out: int, err: int) -> NoReturn:
    _die_with_parent()
    os.setsid()
    os.chdir(str(order["folder"]))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    os.closerange(3, 256)
    # New ones, since those of a file seek in it, and a pipe is no file.
    sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
    environment, arguments = order["environment"], order["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[1:1] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    if order["cold"]:
        os.execv(arguments[0], arguments)
    importlib.reload(failpoints)  # it read the environment when it was imported
    plant(str(order["bug"]))
    sys.argv[:] = arguments
    code: object = 1
    try:
        if module := str(order["module"]):
            runpy.run_module(module, run_name="__main__")
            code = 0
        else:
            imageedit_server.cli.main()
    except SystemExit as end:
        code = end.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
    except Exception:  # noqa: BLE001  else nobody would learn why it did not start
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


def _no_bug(name: str) -> None:
    assert not name, name


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    main()
