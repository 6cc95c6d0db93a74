"""The head of what a vendor sent to a paid call, which stays with its attempt."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class AnswerHead:
    """What is known of an answer without its body.

    ``status`` is the HTTP status; ``media_type`` is the vendor's label, without parameters, empty where there
    was none; ``size_bytes`` counts the body as it came; ``time`` is when the last of it came. ``kept``: the
    body is still here, because nobody could read it or because it held more than was taken.
    """

    status: int
    media_type: str = ""
    size_bytes: int = 0
    time: datetime
    kept: bool = False
