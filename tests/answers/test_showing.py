"""What the command prints of vendors' answers, and of a configuration, forges and hides no line."""

import asyncio
import inspect
import io
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from imageedit_client.cli import text as client_text
from imageedit_server.answers.files import ANSWERS_FOLDER, Answers
from imageedit_server.cli import main
from imageedit_server.cli import text as server_text
from imageedit_server.cli.app import app
from imageedit_server.outbound.answers import Ended
from tests.answers.conftest import StillClock, asked
from tests.client.evil_texts import EVIL, hidden, most_marks

TASK_ID = "task_" + "0" * 32


def said(*words: str | Path) -> list[str]:
    """The lines of both streams."""
    ran = CliRunner().invoke(app, [str(word) for word in words])
    assert ran.exception is None or isinstance(ran.exception, SystemExit)
    return [*ran.stdout.split("\n"), *ran.stderr.split("\n")]


async def answered(data: Path, texts: Sequence[str]) -> None:
    """A vendor's answer that says them wherever it can; nobody has acted on it."""
    answers = Answers(data / ANSWERS_FOLDER, StillClock(), min_free_bytes=1, version="1.0")
    await answers.open()
    place = await answers.reserve(asked(TASK_ID), 1000)
    whole = "|".join(texts)
    place.head(
        200, {"content-type": whole[:200], **{f"x-{number}": text for number, text in enumerate(texts)}}
    )
    place.piece(whole.encode())
    place.end(Ended.CUT, whole)
    await place.save()
    await answers.aclose()


def test_a_vendors_texts_forge_and_hide_no_line(tmp_path: Path) -> None:
    """As many lines as for harmless ones, in the list and in what is shown of a task."""
    for folder, texts in (("harmless", dict.fromkeys(EVIL, "words")), ("evil", EVIL)):
        (tmp_path / folder).mkdir()
        asyncio.run(answered(tmp_path / folder, list(texts.values())))
    for words in (("answers",), ("answers", TASK_ID)):
        wanted, lines = (said(*words, "--data-dir", tmp_path / folder) for folder in ("harmless", "evil"))
        assert len(lines) == len(wanted) > 2
        assert [hidden(line) for line in lines] == [[]] * len(wanted)
        assert max(map(most_marks, lines)) <= server_text.MOST_MARKS


@pytest.mark.parametrize("text", [EVIL["escape"], EVIL["isolates"], EVIL["separators"]], ids=ascii)
@pytest.mark.parametrize("command", ["check", "answers"])
def test_no_name_that_was_typed_or_pasted_does(tmp_path: Path, command: str, text: str) -> None:
    """Of a file, of a folder, of a task."""
    lines = said(command, "--config", tmp_path / text)
    lines += said(command, "--data-dir", tmp_path / text)
    lines += said("answers", text, "--data-dir", tmp_path / text)
    assert [hidden(line) for line in lines if hidden(line)] == []


def test_a_terminal_of_few_letters_is_no_reason_to_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it cannot show stands there by its number."""
    out = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(out, "latin-1", write_through=True))
    monkeypatch.setattr(sys, "argv", ["imageedit-server", "check", "--data-dir", str(tmp_path / "更暖 ü")])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "\\u66f4\\u6696 ü".encode("latin-1") in out.getvalue()


def test_client_and_server_show_texts_alike() -> None:
    """Neither may import the other, so the file is there twice; what it does is proved beside the client."""
    assert inspect.getsource(server_text) == inspect.getsource(client_text)
