"""When a server dies: the points F1 to F14 and F93 to F97 of PROMISES §4, and any other moment.

Not F96: no vendor here answers with pictures that need an fsync of their own."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

FAILPOINTS: Mapping[str, str] = {
    "create_before_commit": "F1",
    "create_after_commit": "F2",
    "upload_before_fsync": "F3",
    "upload_after_rename": "F4",
    "upload_before_row": "F4",
    "claim_before_intent": "F5",
    "submit_before_intent": "F5",
    "submit_after_intent": "F6",
    "answer_reserved": "F93",
    "answer_head": "F94",
    "answer_whole": "F95",
    "answer_understood": "F97",
    "submit_after_reply": "F8",
    "submit_after_accepted": "F9",
    "poll_after_success": "F10",
    "download_before_commit": "F12",
    "download_after_commit": "F13",
}
"""Points in the server's code, where it kills itself."""

IN_THE_CALL, IN_THE_DOWNLOAD, IN_RECOVERY = "in the call", "in the download", "in recovery"
AT_AN_ANSWER, AT_AN_EVENT, AT_RANDOM = "at an answer", "at an event", "at random"
MOMENTS: Mapping[str, str] = {
    IN_THE_CALL: "F7",
    IN_THE_DOWNLOAD: "F11",
    IN_RECOVERY: "F14",
    AT_AN_ANSWER: "",
    AT_AN_EVENT: "",
    AT_RANDOM: "",
}
"""Moments that only the outside can see: the harness kills."""

LONGEST_LIFE_SECONDS = 1.5
MOST_PASSES = 2
MOST_ANSWERS = 5
RECOVERY_KILLS = 5
"""F14: five kills in a row."""
RECOVERY_SECONDS = 0.4
"""After its birth; a fork is ready after half of that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Kill:
    """How one life of a server ends.

    ``passes``: at which pass through a failpoint, or at which answer. ``seconds``: how long after it
    is ready, or in recovery after it was started. ``cold``: a fresh interpreter, as an operator starts it.
    """

    point: str
    passes: int = 1
    seconds: float = 0.0
    cold: bool = False

    @property
    def failpoint(self) -> str:
        """What the server's environment says, empty when the harness kills."""
        return "" if self.point in MOMENTS else f"{self.point}:kill:{self.passes}"


def fault_of(point: str) -> str:
    """Return F1 … F14, empty for a point that is none of them."""
    return FAILPOINTS.get(point) or MOMENTS.get(point, "")


def plan(dice: Random, *, rounds: int, random_kills: int, cold: bool = False) -> list[Kill]:
    """Every point ``rounds`` times, and kills at random, in random order."""
    kills = [[_at(dice, point)] for point in [*FAILPOINTS, *MOMENTS] * rounds if point is not AT_RANDOM]
    kills += [[Kill(point=AT_RANDOM, seconds=_life(dice), cold=cold)] for _ in range(random_kills)]
    recoveries = [group for group in kills if group[0].point is IN_RECOVERY]
    for group in recoveries:
        group += [_at(dice, IN_RECOVERY) for _ in range(RECOVERY_KILLS - 1)]
    dice.shuffle(kills)
    return [kill for group in kills for kill in group]


def _at(dice: Random, point: str) -> Kill:
    most = MOST_ANSWERS if point in (AT_AN_ANSWER, AT_AN_EVENT) else MOST_PASSES
    return Kill(point=point, passes=dice.randint(1, most), seconds=RECOVERY_SECONDS * dice.random())


def _life(dice: Random) -> float:
    """Mostly short: more happens right after a start than later."""
    return LONGEST_LIFE_SECONDS * dice.random() ** 2
