"""Each word that clients switch on says when it happens and what to do; a last state says when it goes."""

import ast
import inspect
import re
from enum import Enum
from textwrap import dedent

import pytest

from imageedit_server.core.errors import FailureReason, Reason
from imageedit_server.core.task import State


def explained(words: type[Enum]) -> dict[str, str]:
    """Return the text under each member; a member without one is not there."""
    (described,) = ast.parse(dedent(inspect.getsource(words))).body
    assert isinstance(described, ast.ClassDef)
    texts = {}
    for member, below in zip(described.body, described.body[1:], strict=False):
        match member, below:
            case ast.Assign(targets=[ast.Name(id=name)]), ast.Expr(value=ast.Constant(value=str(text))):
                texts[name] = text
    return texts


@pytest.mark.parametrize("words", [Reason, FailureReason])
def test_every_reason_says_when_it_happens_and_what_a_caller_does(words: type[Enum]) -> None:
    told = explained(words)
    assert set(told) == set(words.__members__)
    for name, text in told.items():
        assert len(re.findall(r"[.;?!](?: |$)", text)) >= 2, f"{name}: one part is missing"
    assert len(set(told.values())) == len(told)


def test_every_last_state_says_when_its_tasks_are_deleted() -> None:
    told = explained(State)
    assert set(told) == set(State.__members__)
    for state in State:
        setting = f"retention.{state.value.lower()}_days"
        assert (setting in told[state.name]) == state.terminal


def test_a_member_without_a_text_is_found() -> None:
    class Words(Enum):
        SAID = 1
        """It happens. Do this."""
        UNSAID = 2
        ALSO_SAID = 3
        """It happens too. Do that."""

    assert explained(Words) == {"SAID": "It happens. Do this.", "ALSO_SAID": "It happens too. Do that."}
