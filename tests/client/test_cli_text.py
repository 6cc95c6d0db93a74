"""What strangers wrote cannot forge a line of the command's output, hide in one, or move the cursor."""

import json
import os
import sys
from pathlib import Path
from subprocess import run
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1 import task_pb2
from imageedit_client.cli.app import app
from imageedit_client.cli.output import put_path
from imageedit_client.cli.text import MOST_MARKS, shown
from tests.client.evil_texts import EVIL, hidden, most_marks

TASK_ID = "task_" + "0" * 32


@pytest.mark.parametrize("text", EVIL.values(), ids=EVIL)
def test_nothing_is_hidden_in_a_text_that_is_shown(text: str) -> None:
    """And it is told that there was something."""
    line = shown(text)
    assert hidden(line) == []
    assert most_marks(line) <= MOST_MARKS
    assert line != text
    assert len(line) <= len(text)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (EVIL["a line"], "warm billing   not charged"),
        (EVIL["a line of Windows"], "warm billing   not charged"),
        ("ann\u200b", "ann\ufffd"),
        ("photo_\u202egpj.exe", "photo_\ufffdgpj.exe"),
        (EVIL["tags"], "a\ufffdb"),
        ("a\x1b[31mb", "a [31mb"),
    ],
)
def test_what_is_shown_instead(text: str, line: str) -> None:
    """A space, or one character that says: here was more."""
    assert shown(text) == line


@pytest.mark.parametrize(
    "text",
    [
        *(
            "make it warmer",
            "将肤色调亮一些，加一点暖色。",
            "もっと明るく",
            "더 밝게",
            "Größe — “schön”…",
        ),
        *(
            "e\u0301te\u0301",
            "Việt Nam",
            "Vie\u0323\u0302t",
            "ทำให้สว่างขึ้น",
            "गर्म करें",
            "אור חם יותר",
            "أدفأ",
        ),
        *("❤\ufe0f 😀 🇨🇳 👍🏽", "葛\U000e0100城", "x²·½ → ≤ €", "", " two  spaces "),
    ],
)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    """In every script, with an emoji's own form and a letter's own marks."""
    assert shown(text) == text


@given(st.text())
def test_any_text_becomes_one_line_that_stays(text: str) -> None:
    line = shown(text)
    assert hidden(line) == []
    assert most_marks(line) <= MOST_MARKS
    assert shown(line) == line


# The commands


def everywhere(text: str) -> dict[str, Any]:
    """A task with the text in all its fields that others write."""
    return {
        "prompt": text,
        "user_id": text,
        "model": text,
        "provider": text,
        "size": text,
        "labels": {text: text},
        "warnings": [text],
        "base_model_task_id": text,
        "images": [{"image_id": text, "media_type": text}],
        "attempts": [
            {"provider": text, "answer": {"media_type": text, "size_bytes": 1}, "usage": {text: text}}
        ],
        "error": {
            "reason": "PROVIDER_FAILED",
            "message": text,
            "provider_code": text,
            "provider_message": text,
        },
    }


def scripted(server: Any, say: Any, text: str) -> None:
    """A server that says it wherever it can."""
    task = say.task("FAILED", **everywhere(text))
    server.on("GetTask", service_pb2.GetTaskResponse(task=task))
    server.on("CancelTask", service_pb2.CancelTaskResponse(task=task))
    server.on("ListTasks", service_pb2.ListTasksResponse(tasks=[task]))
    server.on("ListModels", service_pb2.ListModelsResponse(models=[{"name": text, "sizes": [text]}]))
    server.on("UploadImage", service_pb2.UploadImageResponse(image={"image_id": text}))
    server.on("EditImage", *[service_pb2.EditImageResponse(task=task)] * 2)
    server.on("WatchTask", *[[say.event(1, "FAILED", **everywhere(text))]] * 2)


COMMANDS = (
    ("get", TASK_ID),
    ("cancel", TASK_ID),
    ("list",),
    ("models",),
    ("upload", __file__),
    ("watch", TASK_ID),
    ("edit", "sha256:aa", "x", "--validate-only"),
    ("edit", "sha256:aa", "x"),
)


def said_by(server: Any, *words: str) -> list[list[str]]:
    """The lines of both streams."""
    result = CliRunner().invoke(app, ["--address", server.address, *words])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return [stream.split("\n") for stream in (result.stdout, result.stderr)]


def test_no_command_lets_a_text_forge_or_hide_a_line(server: Any, say: Any) -> None:
    """As many lines as for a harmless text, whatever command shows it."""
    scripted(server, say, "harmless")
    wanted = {words: [len(stream) for stream in said_by(server, *words)] for words in COMMANDS}
    scripted(server, say, "|".join(EVIL.values()))
    for words in COMMANDS:
        streams = said_by(server, *words)
        assert [len(stream) for stream in streams] == wanted[words], (words, streams)
        assert [hidden(line) for stream in streams for line in stream] == [[]] * sum(wanted[words]), words


@pytest.mark.parametrize("text", [EVIL["a line"], "a\u202eb", "\x9b31m", "a\U000e0041"], ids=ascii)
def test_an_error_is_one_line(server: Any, say: Any, text: str) -> None:
    """Of a server that lies, or that repeats what it was sent."""
    refusal = {"code": grpc.StatusCode.INVALID_ARGUMENT, "reason": text, "message": text}
    server.on("GetTask", say.Refusal(**refusal), say.Refusal(**refusal, fields={text: text}))
    for _ in range(2):
        _, (line, rest) = said_by(server, "get", TASK_ID)
        assert (hidden(line), rest) == ([], "")


@pytest.mark.parametrize(
    "words",
    [
        ("edit", "evil\x1b[31m\u202e", "x"),
        ("edit", "sha256:aa", "x", "--openai", "\x9b31m=1"),
        ("edit", "sha256:aa", "x", "--label", "\x1b[2J"),
        ("edit", "sha256:aa", "x", "-o", "nowhere\u202e\x1b/x"),
        ("fly\x1b[31m",),
    ],
    ids=ascii,
)
def test_a_usage_error_repeats_no_control(server: Any, words: tuple[str, ...]) -> None:
    """What is typed may have been pasted, and a file's name may be a stranger's."""
    _, lines = said_by(server, *words)
    assert [hidden(line) for line in lines if hidden(line)] == []


def test_json_escapes_all_of_it_and_loses_nothing(server: Any, say: Any) -> None:
    """Printable ASCII; what is read back is what was said."""
    text = "|".join(EVIL.values())
    scripted(server, say, text)
    printed = [said_by(server, "--json", *words)[0] for words in COMMANDS[:-1]]
    assert all(line.isascii() and (line.isprintable() or not line) for lines in printed for line in lines)
    assert [len(lines) for lines in printed] == [2] * len(printed)
    assert ParseDict(json.loads(printed[0][0]), task_pb2.Task()).prompt == text
    assert json.loads(printed[3][0])["name"] == text


def test_a_terminal_of_few_letters_is_no_reason_to_fail(server: Any, say: Any) -> None:
    """What it cannot show stands there by its number."""
    server.on("GetTask", service_pb2.GetTaskResponse(task=say.task(prompt="更暖 ü")))
    command = [sys.executable, "-m", "imageedit_client.cli", "--address", server.address, "get", TASK_ID]
    few = os.environ | {"PYTHONIOENCODING": "latin-1"}
    result = run(command, capture_output=True, check=True, env=few)
    assert "prompt    \\u66f4\\u6696 ü\n".encode("latin-1") in result.stdout


def test_a_path_for_a_program_is_the_path(tmp_path: Path, capfdbinary: Any) -> None:
    """Whatever bytes it has; a person on a terminal is shown it like all else."""
    path = tmp_path / os.fsdecode("zwj\u200d-".encode() + b"\xff.png")
    put_path(path)
    assert capfdbinary.readouterr().out == os.fsencode(path) + b"\n"


def test_a_path_for_a_person_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """By the name that a URL or an archive gave it."""
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True, raising=False)
    put_path(Path("gpj\u202e.exe"))
    assert capsys.readouterr().out == "gpj\ufffd.exe\n"
