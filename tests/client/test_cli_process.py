"""The command as a real process: the live bar, Ctrl-C, and a missing extra."""

import os
import pty
import signal
import sys
from subprocess import PIPE, Popen, run

import pytest
from rich.cells import cell_len

from imageedit.v1 import image_edit_service_pb2 as service_pb2

COMMAND = [sys.executable, "-m", "imageedit_client.cli"]
TASK_ID = "task_" + "0" * 32


@pytest.fixture
def started(server, say):
    """Scripts the beginning of an edit."""
    server.on("EditImage", service_pb2.EditImageResponse(task=say.task("QUEUED")))
    return [*COMMAND, "--address", server.address, "edit", "sha256:aa", "warmer"]


def read_all(terminal):
    """What the process drew; a closed terminal is an OSError on Linux."""
    drawn = b""
    while True:
        try:
            read = os.read(terminal, 65536)
        except OSError:
            return drawn.decode()
        if not read:
            return drawn.decode()
        drawn += read


def test_on_a_terminal_the_progress_is_a_bar(server, say, started):
    """It is redrawn in place and ends full."""
    server.on(
        "WatchTask", [say.event(1, "QUEUED"), say.event(2, progress_percent=40), say.event(3, "FAILED")]
    )
    ours, theirs = pty.openpty()
    with Popen(started, stdout=theirs, stderr=PIPE, env=os.environ | {"TERM": "xterm-256color"}) as process:
        os.close(theirs)
        drawn = read_all(ours)
        said = process.stderr.read().decode() if process.stderr else ""
    os.close(ours)
    assert process.returncode == 1
    assert "━━━━━━━━━━" in drawn
    assert "\x1b[2K" in drawn
    assert "failed" in drawn
    assert "0%  queued" not in said


def on_a_terminal(server, *words):
    """What a command prints on a terminal with 80 columns."""
    ours, theirs = pty.openpty()
    command = [*COMMAND, "--address", server.address, *words]
    with Popen(command, stdout=theirs, stderr=PIPE, env=os.environ | {"COLUMNS": "80"}) as process:
        os.close(theirs)
        drawn = read_all(ours)
        said = process.stderr.read().decode() if process.stderr else ""
    os.close(ours)
    assert (process.returncode, said) == (0, "")
    return drawn.splitlines()


def test_a_list_fits_into_a_terminal(server, say):
    """Only the prompt is cut; Chinese characters take two places, so that the columns stay columns."""
    prompts = ["将肤色调亮一些，加一点暖色", "make it warmer and rotate it", "sepia"]
    tasks = [say.task(prompt=prompt) for prompt in prompts]
    server.on("ListTasks", service_pb2.ListTasksResponse(tasks=tasks))
    heads, *rows = on_a_terminal(server, "list")
    assert max(map(cell_len, [heads, *rows])) <= 80
    start = heads.index("PROMPT")
    shown = [row[start:] for row in rows]
    assert shown[2] == "sepia"
    for text, prompt in zip(shown[:2], prompts[:2], strict=True):
        assert text.endswith("…")
        assert prompt.startswith(text[:-1])
    assert all(len(text) > 6 for text in shown[:2])


def test_models_that_do_not_fit_into_a_terminal_are_paragraphs(server):
    """Nothing is cut: limits are what the command is asked for."""
    sizes = [f"{number}:1" for number in range(1, 40)]
    model = {"name": "local/basic", "provider": "local", "kinds": ["KIND_EDIT_IMAGE"], "sizes": sizes}
    server.on("ListModels", service_pb2.ListModelsResponse(models=[model]))
    name, *facts = on_a_terminal(server, "models")
    assert name == "local/basic"
    assert max(map(len, facts)) <= 80
    assert all(line.startswith("  ") for line in facts)
    told = " ".join(" ".join(facts).split())
    assert told.startswith("provider local; for edit; images 0-0; ")
    assert told.endswith("sizes " + " ".join(sizes))


def test_a_failed_handshake_is_told_in_our_words_alone(server):
    """gRPC's own lines on stderr would bury the sentence."""
    command = [*COMMAND, "--address", server.address, "--tls", "--patience", "1", "list"]
    silent = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    result = run(command, capture_output=True, text=True, check=False, env=silent)
    assert result.returncode == 3
    assert [line for line in result.stderr.splitlines() if not line.startswith("imageedit: ")] == []


def test_ctrl_c_leaves_the_task_alone_and_says_so(server, say, started):
    """Exit code 130, and the two commands that come next."""
    server.on("WatchTask", [say.event(1, "QUEUED"), say.Hang()])
    with Popen(started, stdout=PIPE, stderr=PIPE, text=True) as process:
        assert process.stderr is not None
        said = [process.stderr.readline(), process.stderr.readline()]
        process.send_signal(signal.SIGINT)
        said += process.stderr.readlines()
    assert process.returncode == 130
    assert "queued" in said[1]
    assert f"imageedit --address {server.address} watch {TASK_ID}" in "".join(said[2:])
    assert f"imageedit --address {server.address} cancel {TASK_ID}" in "".join(said[2:])
    assert "Traceback" not in "".join(said)
    assert server.received["CancelTask"] == []


@pytest.mark.parametrize("package", ["typer", "rich"])
def test_without_the_extra_the_command_says_what_to_install(package):
    """One sentence instead of a traceback; exit code 2."""
    code = f"import sys; sys.modules[{package!r}] = None; from imageedit_client.cli import main; main()"
    result = run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr == "imageedit: the command needs more packages: pip install 'imageedit[cli]'\n"


def test_help_names_every_command_and_the_environment():
    """Short enough to read."""
    overview = run([*COMMAND, "--help"], capture_output=True, text=True, check=True).stdout
    names = [
        "edit",
        "model-edit",
        "default-model",
        "watch",
        "get",
        "cancel",
        "delete",
        "list",
        "models",
        "upload",
        "download",
        "delete-image",
    ]
    assert [name for name in names if name not in overview] == []
    one = run([*COMMAND, "list", "--help"], capture_output=True, text=True, check=True).stdout
    assert "IMAGEEDIT_ADDRESS" in one
    assert "--state          STATE " in one
    assert len(one.splitlines()) < 40
