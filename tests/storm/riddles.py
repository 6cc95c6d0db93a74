"""Answers in a form that the servers of a storm do not know, and the newer server that does.

The vendor worked and is paid; what it says, nobody can read. The answer is kept, over all kills, until a
version comes that reads it by itself.
"""

from dataclasses import replace
from typing import Any

from imageedit_server import bootstrap
from imageedit_server.outbound.answers import Answer, Ended
from imageedit_server.providers.openai.adapter import OpenaiAdapter
from tests.vendors.serving import Response

MARK = b"riddle:"
NEWER = "999.0"


def riddle(honest: Response) -> Response:
    """Say the same backwards."""
    return Response(body=MARK + honest.content()[::-1], media_type="application/x-riddle")


def is_riddle(answer: Answer | None) -> bool:
    """Whether that is what a relay said, whole."""
    return answer is not None and answer.ended is Ended.WHOLE and answer.body.startswith(MARK)


def know_riddles() -> None:
    """Make this process a newer version, whose adapter reads what is said backwards."""
    understand = OpenaiAdapter.understand

    def read(self: OpenaiAdapter, answer: Answer) -> Any:
        if answer.body.startswith(MARK):
            body = answer.body.removeprefix(MARK)[::-1]
            answer = replace(answer, headers={"content-type": "application/json"}, body=body)
        return understand(self, answer)

    OpenaiAdapter.understand = read  # type: ignore[method-assign]
    vars(bootstrap)["__version__"] = NEWER
