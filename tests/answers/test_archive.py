"""What an operator sees of the answers, and what a backup takes along."""

from pathlib import Path

from imageedit_server.answers.archive import AnswerArchive
from imageedit_server.answers.files import Answers
from tests.answers.conftest import asked, files_in, mode
from tests.answers.test_writing import SMALL, write


async def test_answers_are_listed_and_copied_but_not_blanks(answers: Answers, tmp_path: Path) -> None:
    place = await answers.reserve(asked("unread"), 1000)
    await write(place, SMALL)
    kept = await answers.reserve(asked("kept"), 1000)
    await write(kept, SMALL)
    await answers.keep_place(kept)
    archive, target = AnswerArchive(tmp_path), tmp_path / "backup"
    target.mkdir()
    assert {(each.asked.task_id, each.tried) for each in archive.stored()} == {
        ("unread", ""),
        ("kept", "1.0"),
    }
    assert archive.copy_to(target) == 2
    assert archive.copy_to(target) == 0
    copy = AnswerArchive(target)
    assert {str(each.asked) for each in copy.stored()} == {str(each.asked) for each in archive.stored()}
    assert len(copy.stored()) == 2
    assert {mode(path) for path in files_in(target / "answers")} == {0o600}
    await answers.erase("kept")
    assert archive.copy_to(target) == 0
    assert [each.asked.task_id for each in copy.stored()] == ["unread"]
    assert AnswerArchive(tmp_path / "nowhere").stored() == []


async def test_an_answer_that_still_comes_is_erased_too(answers: Answers, folder: Path) -> None:
    place = await answers.reserve(asked("erased"), 1000)
    place.head(200, {})
    await answers.erase("erased")
    place.piece(SMALL)
    await place.save()
    assert AnswerArchive(folder.parent).stored() == []
