"""Bytes made by a seed: the same in every run, more of them when more are asked for.

Mutated ones, or where bytes alone would not get past the first look, those that Hypothesis makes of a form.
"""

import random
import traceback
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from itertools import count, islice

import hypothesis
from hypothesis import HealthCheck, Phase, given
from hypothesis.strategies import SearchStrategy

Attack = Callable[[bytes], Awaitable[None]]
"""Does something with the bytes. Raises ``AssertionError`` or whatever escaped, and that is a finding."""

MAX_BYTES = 8_192
CHANGES = (1, 1, 1, 2, 3, 8)
KEPT = 5
ODD_BYTES = [
    b"\0",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xed\xa0\x80",
    b"\xf0\x9f",
    b"\xef\xbb\xbf",
    b"\r\n",
    b'"',
    b"\\",
]
ODD_NUMBERS = [b"-1", b"0", b"1e400", b"NaN", b"9" * 5_000, b"2147483648", b"18446744073709551616", b"0x7f"]


DRAWING = hypothesis.settings(
    max_examples=20,
    phases=[Phase.generate],
    derandomize=False,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
"""Some at a time: a planted bug is often found among the first."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """What is attacked: ``opened`` gives the attack for as long as its context lasts.

    ``executions`` is how many belong to a short run; ``seeds`` are sound inputs, ``words`` what may stand in
    one. ``formed`` makes the inputs instead, where it is given.
    """

    name: str
    opened: Callable[[], AbstractAsyncContextManager[Attack]]
    seeds: Sequence[bytes] = ()
    words: Sequence[bytes] = ()
    formed: SearchStrategy[bytes] | None = None
    executions: int


@dataclass
class Report:
    """What came of it; the first findings are kept, with the bytes that brought them about."""

    name: str
    executions: int = 0
    findings: int = 0
    first: list[str] = field(default_factory=list)

    def note(self, data: bytes, error: BaseException) -> None:
        """Count a finding."""
        self.findings += 1
        if len(self.first) < KEPT:
            told = "".join(traceback.format_exception(error)[-3:])
            self.first.append(f"{self.name} #{self.executions}: {data[:500]!r}\n{told}")

    def line(self) -> str:
        """One line for people."""
        return f"{self.name}: {self.executions} executions, {self.findings} findings"


async def fuzz(target: Target, executions: int, *, seed: int = 0, most: int | None = None) -> Report:
    """Attack with what is made for the target; end early after ``most`` findings."""
    chance = random.Random(f"{target.name} {seed}")
    made = _mutations(chance, target) if target.formed is None else _drawn(chance, target.formed)
    report = Report(target.name)
    async with target.opened() as attack:
        for data in islice(made, executions):
            report.executions += 1
            try:
                await attack(data)
            except Exception as error:  # noqa: BLE001  whatever escapes is what is looked for
                report.note(data, error)
                if report.findings == most:
                    break
    return report


def _mutations(chance: random.Random, target: Target) -> Iterator[bytes]:
    """Yield mutations, and between them each seed as it is."""
    for turn in count():
        at, odd = divmod(turn, 2)
        sound = not odd and at < len(target.seeds)
        yield target.seeds[at] if sound else mutated(chance, target.seeds, target.words)


def _drawn(chance: random.Random, formed: SearchStrategy[bytes]) -> Iterator[bytes]:
    while True:
        yield from _batch(chance.getrandbits(64), formed)


def _batch(seed: int, formed: SearchStrategy[bytes]) -> list[bytes]:
    batch: list[bytes] = []

    @hypothesis.seed(seed)
    @DRAWING
    @given(formed)
    def draw(data: bytes) -> None:
        batch.append(data)

    draw()
    return list(dict.fromkeys(batch))


def mutated(chance: random.Random, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    """Change a seed in a few places."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.choice(CHANGES)):
        start = chance.randint(0, len(data))
        length = min(chance.choice((0, 1, 1, 2, 4, 16, 256)), len(data) - start)
        data[start : start + length] = _instead(chance, data, seeds, words)
    return bytes(data[:MAX_BYTES]) if len(data) > len(max(seeds, key=len)) else bytes(data)


def _instead(chance: random.Random, data: bytearray, seeds: Sequence[bytes], words: Sequence[bytes]) -> bytes:
    match chance.randrange(6):
        case 0:
            return b""
        case 1:
            return chance.randbytes(chance.randint(1, 8))
        case 2:
            return chance.choice([*ODD_BYTES, *ODD_NUMBERS])
        case 3:
            return chance.choice(words or ODD_BYTES)
        case 4:
            return _slice(chance, chance.choice(seeds))
        case _:
            return _slice(chance, bytes(data)) * chance.choice((1, 2, 50))


def _slice(chance: random.Random, data: bytes) -> bytes:
    start = chance.randint(0, len(data))
    return data[start : start + chance.randint(0, 64)]
