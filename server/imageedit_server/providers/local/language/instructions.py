"""Instructions in English and Chinese to steps: what each clause asks for, and what cannot be done.

``understand`` is pure and linear in the length of the prompt. The words are data in ``english``, ``chinese``
and ``colors``; ``lexer`` finds them, ``clauses`` divides them, ``clause_steps`` knows what one clause asks
for, and here it is decided what of that can be done to this picture.
"""

from dataclasses import dataclass, replace
from itertools import islice
from typing import NamedTuple

from imageedit_server.providers.local.language import lexer
from imageedit_server.providers.local.language.clause_steps import step_of
from imageedit_server.providers.local.language.clauses import Clause, divide
from imageedit_server.providers.local.language.lists import hand_on
from imageedit_server.providers.local.language.words import Kind
from imageedit_server.providers.local.plan import GEOMETRY, INSIDE_A_MASK, Operation, Region, Step

MAX_STEPS = 24
_MAX_CLAUSES = 120
_MAX_NAMED = 12
_MAX_CLAUSE_CHARS = 160

CANNOT = "{model} cannot do that"
NEEDS_MASK = "that needs a mask"
NEEDS_NO_MASK = "with a mask the picture keeps its shape"
TOO_MANY = f"{{model}} makes at most {MAX_STEPS} changes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Unapplied:
    """A clause that will not be carried out, and why: the end of a sentence, with a place for the model."""

    clause: str
    reason: str = CANNOT


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What the parser made of a prompt.

    ``content`` says that nothing is to be changed was asked for in so many words ("don't blur it").
    """

    steps: tuple[Step, ...] = ()
    unapplied: tuple[Unapplied, ...] = ()
    notes: tuple[str, ...] = ()
    content: bool = False

    def warnings(self, model: str) -> tuple[str, ...]:
        """One sentence for each clause that is not applied, and for each that is applied otherwise."""
        named = [
            f'The clause "{left.clause}" was not applied: {left.reason.format(model=model)}.'
            for left in self.unapplied[:_MAX_NAMED]
        ]
        more = len(self.unapplied) - len(named)
        if more:
            named.append(f"{more} more were not applied." if more > 1 else "One more was not applied.")
        return (*named, *self.notes)


def understand(prompt: str, *, masked: bool) -> Reading:
    """Read ``prompt`` for a picture with or without a mask. Never raises."""
    found = divide(lexer.read(prompt))
    clauses = list(islice(found, _MAX_CLAUSES))
    hand_on(clauses)
    reader = _Reader(prompt, masked)
    for clause in clauses:
        reader.read(clause)
    rest = next(found, None)
    if rest:
        reader.stop(rest)
    return reader.reading()


class _Taken(NamedTuple):
    """A step, and whether its clause only said what is wrong (``too dark``) or how it is (``dark``)."""

    step: Step
    complaint: bool
    described: bool


class _Reader:
    """Collects steps and reasons, clause by clause."""

    def __init__(self, prompt: str, masked: bool) -> None:
        self._prompt = prompt
        self._masked = masked
        self._taken: list[_Taken] = []
        self._unapplied: list[Unapplied] = []
        self._kept: list[Unapplied] = []
        self._notes: list[str] = []
        self._content = False

    def reading(self) -> Reading:
        """Return what was collected; a complaint yields to the clause that says what to do about it."""
        asked = {_way(taken.step) for taken in self._taken if not taken.complaint}
        steps = [taken.step for taken in self._taken if not taken.complaint or _way(taken.step) not in asked]
        left = [Unapplied(clause=step.clause, reason=TOO_MANY) for step in steps[MAX_STEPS:]]
        if any(step.region is not Region.SKIN for step in steps):  # what is not skin stays anyway
            left += self._kept
        return Reading(
            steps=tuple(steps[:MAX_STEPS]),
            unapplied=(*self._unapplied, *left),
            notes=tuple(dict.fromkeys(self._notes))[:_MAX_NAMED],
            content=self._content or bool(self._kept),
        )

    def read(self, clause: Clause) -> None:
        """Take one clause."""
        if clause.has(Kind.NOT, Kind.KEEP) and not clause.has(Kind.ENOUGH):
            self._refrain(clause)
            return
        step = None if clause.has(Kind.BLOCK) else step_of(clause)
        step = self._targeted(clause, step) if step else None
        if step:
            self._take(clause, replace(step, clause=self._text(clause)))
        elif clause.joint != "purpose" or clause.operation:
            self._leave(clause, CANNOT)

    def stop(self, clause: Clause) -> None:
        """Name the clause from which on nothing is read."""
        self._leave(clause, TOO_MANY)

    def _take(self, clause: Clause, step: Step) -> None:
        if step.operation in GEOMETRY and self._masked:
            self._leave(clause, NEEDS_NO_MASK)
            return
        if step.operation in INSIDE_A_MASK and not self._masked:
            self._leave(clause, NEEDS_MASK)
            return
        if step.region is Region.SKIN and clause.has(Kind.REGION) and clause.found[Kind.REGION].text:
            self._notes.append(
                f'The clause "{step.clause}" was applied to every part with the color of skin.'
            )
        taken = _Taken(step, complaint=_complains(clause), described=_describes(clause))
        before = self._taken[-1] if self._taken else None
        if before and before.described and _opposed(before.step, step):
            self._taken.pop()
        elif before and _alike(before.step, step):
            return
        self._taken.append(taken)

    def _leave(self, clause: Clause, reason: str) -> None:
        self._unapplied.append(Unapplied(clause=self._text(clause), reason=reason))

    def _refrain(self, clause: Clause) -> None:
        """Take a clause that asks for something to stay. Names it where other steps would not respect it."""
        if clause.has(Kind.TOO) and not clause.complete and self._taken:
            last = self._taken[-1]
            self._taken[-1] = last._replace(step=replace(last.step, amount=last.step.amount * 0.6))
        about_a_part = clause.has(Kind.UNKNOWN, Kind.REGION) and not clause.has(Kind.PICTURE)
        known = (
            clause.operation or clause.colors or clause.has(Kind.REMOVE, Kind.PAINT, Kind.HUES, Kind.BLOCK)
        )
        if not about_a_part or known or (self._masked and clause.has(Kind.KEEP)):
            self._content = True
        elif clause.has(Kind.KEEP) and not clause.has(Kind.REGION):
            self._kept.append(Unapplied(clause=self._text(clause)))
        else:
            self._leave(clause, CANNOT)

    def _text(self, clause: Clause) -> str:
        start, end = clause.span
        text = " ".join(self._prompt[start:end].split())
        return text if len(text) <= _MAX_CLAUSE_CHARS else text[: _MAX_CLAUSE_CHARS - 1] + "…"

    def _targeted(self, clause: Clause, step: Step) -> Step | None:
        """Return ``step`` for the part of the picture that the clause means; None if it cannot be found."""
        region = clause.found.get(Kind.REGION)
        if step.region or region:
            part = step.region or (region.region if region else None)
            geometric = step.operation in GEOMETRY or step.operation is Operation.VIGNETTE
            if geometric or (part is not Region.SKIN and clause.has(Kind.UNKNOWN)):
                return None
            return step if step.operation in INSIDE_A_MASK else replace(step, region=part)
        if clause.has(Kind.MASKED) and not self._masked:
            return None
        unknown = clause.has(Kind.UNKNOWN)
        whole = clause.has(Kind.PICTURE) and not clause.placed and not clause.narrowed
        if unknown and not self._masked and not whole:
            return None if step.operation not in INSIDE_A_MASK else step
        return None if unknown and not self._masked and step.color else step


def _way(step: Step) -> tuple[Operation, bool, Region | None]:
    return step.operation, step.amount > 0, step.region


def _alike(one: Step, other: Step) -> bool:
    return replace(one, clause="") == replace(other, clause="")


def _opposed(one: Step, other: Step) -> bool:
    blurs = {one.operation, other.operation} == {Operation.BLUR, Operation.SHARPEN}
    return blurs or (one.operation is other.operation and one.amount * other.amount < 0)


def _describes(clause: Clause) -> bool:
    return bool(clause.operation and clause.operation.complaint) and not clause.has(
        Kind.DO, Kind.ADD, Kind.DIRECTION
    )


def _complains(clause: Clause) -> bool:
    said = clause.operation
    return clause.has(Kind.TOO) or bool(
        said and said.complaint and clause.has(Kind.STATE) and not clause.has(Kind.DO)
    )
