"""The shape of Suitme's answers, in all its forms (VENDORS §1.4 to §1.6)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from imageedit_server.outbound.client import BadBody, Reply, read_json
from imageedit_server.providers.outcomes import status_meaning

MAX_PROBLEMS = 5

SUCCESS = 0
NOT_FOUND = 1003
STATUS_OF_CODE: Mapping[int, int] = {1001: 400, 1002: 502, NOT_FOUND: 404, 1004: 500, 1005: 401}
"""The HTTP status that each of the vendor's own codes stands for (VENDORS §1.6)."""

_CODE = re.compile(r"-?[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, kw_only=True, slots=True)
class Envelope:
    """An answer in any of the vendor's shapes. ``code`` is its own, None where it gives none."""

    http_status: int
    code: int | None = None
    msg: str = ""
    data: Any = None
    is_bare: bool = False
    """Whether it is in none of the vendor's shapes."""

    @property
    def succeeded(self) -> bool:
        """Whether HTTP and body agree that all is well."""
        return 200 <= self.http_status < 300 and self.code == SUCCESS

    @property
    def may_be_accepted(self) -> bool:
        """Whether HTTP leaves it open, whatever the body says: it may say so too late, or too early."""
        if self.http_status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return status_meaning(self.http_status) is None
        return self.code == SUCCESS and self.http_status < HTTPStatus.BAD_REQUEST

    @property
    def status(self) -> int:
        """What the answer is, as an HTTP status: the vendor's own code tells it better than HTTP does.

        A success of HTTP's with a code that is not the vendor's counts by that code (F41).
        """
        if self.code is None:
            return self.http_status
        return STATUS_OF_CODE.get(self.code, self.code if self.http_status < 300 else self.http_status)


def read_envelope(reply: Reply) -> Envelope:
    """Read ``{"code", "msg", "data"}``, flat as documented or under ``detail`` as sent.

    FastAPI's own errors have a text or a list of problems there, and no code.
    """
    content = _object(reply.body)
    if not content:
        return Envelope(http_status=reply.status, is_bare=True)
    match content.get("detail"):
        case dict() as inner:
            content = inner
        case str() as msg:
            return Envelope(http_status=reply.status, msg=msg)
        case list() as problems:
            return Envelope(http_status=reply.status, msg=_problems(problems))
    return Envelope(
        http_status=reply.status,
        code=_integer(content.get("code")),
        msg=text_of(content.get("msg")),
        data=content.get("data"),
    )


def _problems(problems: list[Any]) -> str:
    """Say what FastAPI found wrong: where, and the rule. Never its ``input``, which is the caller's."""
    found = [problem for problem in problems[:MAX_PROBLEMS] if isinstance(problem, dict)]
    return "; ".join(f"{_place(problem.get('loc'))}: {text_of(problem.get('msg'))}" for problem in found)


def _place(loc: Any) -> str:
    return ".".join(map(text_of, loc)) if isinstance(loc, list) else text_of(loc)


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = read_json(body)
    except BadBody:
        return {}
    return content if isinstance(content, dict) else {}


def _integer(value: Any) -> int | None:
    if isinstance(value, str) and _CODE.fullmatch(value):
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def text_of(value: Any) -> str:
    """Return a string, or an integer where a string is due (the page says ids are), as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""
