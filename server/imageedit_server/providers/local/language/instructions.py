"""Instructions in English and Chinese to steps: what each clause asks for, and what cannot be done.

``understand`` is pure and linear in the length of the prompt. The words are data in ``english.txt`` and
``chinese.txt``, the orders that make sense in ``grammar.txt``. ``lexer`` finds the words, ``clauses`` divides
them, ``grammar`` knows what one clause asks for, ``limits`` what it forbids, and ``context`` what it has from
the one before. A clause is carried out only if every word of it is accounted for (DESIGN §7).
"""

from dataclasses import dataclass, replace
from itertools import islice

from imageedit_server.providers.local.language import lexer
from imageedit_server.providers.local.language.clauses import Clause, divide
from imageedit_server.providers.local.language.context import (
    CANNOT,
    completed,
    continued,
    excepts,
    impossible,
    inherited,
    is_bound,
    leans,
    merged,
    way,
)
from imageedit_server.providers.local.language.grammar import opposed, parse
from imageedit_server.providers.local.language.limits import Limit, continues, limit_of
from imageedit_server.providers.local.language.patterns import compiled
from imageedit_server.providers.local.language.steps import remedies
from imageedit_server.providers.local.language.words import Kind
from imageedit_server.providers.local.plan import Region, Step

MAX_STEPS = 24
_MAX_CLAUSES = 120
_MAX_NAMED = 12
_MAX_CLAUSE_CHARS = 160
_SOFTER = 0.6

TOO_MANY = f"{{model}} makes at most {MAX_STEPS} changes"
LIMITED = "{model} cannot keep what another clause wants to stay"


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
    reader = _Reader(masked)
    for clause in islice(found, _MAX_CLAUSES):
        reader.read(clause)
    reader.stop(list(found))
    return reader.reading(prompt)


@dataclass(kw_only=True, slots=True)
class _Said:
    """A clause with what it came to: steps, a reason to leave it, or neither where it asks for no change."""

    clause: Clause
    steps: tuple[Step, ...] = ()
    reason: str = ""
    complaint: bool = False
    negates: bool = False

    def leave(self, reason: str = CANNOT) -> None:
        """Do nothing of it."""
        self.steps, self.reason = (), reason


class _Reader:
    """Reads clause by clause; what one means may depend on the one before."""

    def __init__(self, masked: bool) -> None:
        self._masked = masked
        self._said: list[_Said] = []
        self._last: list[_Said] = []  # the parts of the clause that was read last
        self._limited = self._content = self._surroundings = False

    def read(self, clause: Clause) -> None:
        """Take one clause."""
        before = self._said[-1] if self._said and clause.joint is not Kind.STOP else None
        if before is None:
            self._read(clause, None)
        elif before.negates and continued(clause):
            self._negated(clause)
        elif clause.joint is Kind.OR or (is_bound(clause) and _strange(before.clause, clause)):
            self._take_back()
            self._leave(clause)
        elif excepts(clause) or (before.reason and leans(clause, before.clause)):
            self._leave(clause)
        else:
            self._read(clause, before)

    def stop(self, rest: list[Clause]) -> None:
        """Name the clause from which on nothing is read."""
        for clause in rest:
            self._limited = self._limited or clause.limits
        if rest:
            self._take(_Said(clause=rest[0], reason=TOO_MANY))

    def _read(self, clause: Clause, before: _Said | None) -> None:
        requests = parse(clause) or (completed(clause, before.clause) if before and before.steps else None)
        if requests is None:
            self._other(clause)
            return
        asked = [_Said(clause=part.clause, steps=part.steps, complaint=part.complaint) for part in requests]
        for said in asked:
            if before:
                said.steps = inherited(said.clause, said.steps, before.clause, before.steps)
        reasons = [impossible(said.clause, said.steps, masked=self._masked) for said in asked]
        reason = next(filter(None, reasons), "")
        if clause.joint in (Kind.AND, Kind.PLUS) and _undone([*self._last, *asked]):
            self._take_back()
            reason = CANNOT
        self._take(*([_Said(clause=clause, reason=reason)] if reason else asked))

    def _take(self, *parts: _Said) -> None:
        self._last = list(parts)
        self._said += parts

    def _take_back(self) -> None:
        """Leave what the last clause asked for."""
        for said in self._last:
            said.leave()

    def _other(self, clause: Clause) -> None:
        """Take a clause that asks for no step: a description, ``fix it``, or a limit of other clauses."""
        limit = limit_of(clause)
        if limit is None and not _REMARK.fullmatch(clause.letters):
            self._leave(clause)
            return
        if limit is Limit.SOFTER:
            self._soften()
        self._content = self._content or limit is not None
        self._surroundings = self._surroundings or (limit is Limit.SURROUNDINGS and not self._masked)
        self._take(_Said(clause=clause, negates=clause.lexemes[0].kind in (Kind.NOT, Kind.WITHOUT)))

    def _negated(self, clause: Clause) -> None:
        """Take what goes on after a negation: ``or sharpen it``."""
        self._take(_Said(clause=clause, negates=True))
        if not continues(clause):
            self._said[-1].leave()
            self._limited = True

    def _leave(self, clause: Clause) -> None:
        self._limited = self._limited or clause.limits
        self._take(_Said(clause=clause, reason=CANNOT))

    def _soften(self) -> None:
        asked = next((said for said in reversed(self._said) if said.steps), None)
        if asked:
            asked.steps = tuple(replace(step, amount=step.amount * _SOFTER) for step in asked.steps)

    def reading(self, prompt: str) -> Reading:
        """Return what the clauses come to together."""
        self._settle()
        steps: list[Step] = []
        notes: dict[str, None] = {}
        for said in self._said:
            text = _text(prompt, said.clause)
            steps += [replace(step, clause=text) for step in said.steps]
            if said.steps and any(region.text for region in said.clause.meanings(Kind.REGION)):
                notes[f'The clause "{text}" was applied to every part with the color of skin.'] = None
        made = merged(steps)
        left = [(_text(prompt, said.clause), said.reason) for said in self._said if said.reason]
        left += [(step.clause, TOO_MANY) for step in made[MAX_STEPS:]]
        return Reading(
            steps=tuple(made[:MAX_STEPS]),
            unapplied=tuple(Unapplied(clause=clause, reason=reason) for clause, reason in left),
            notes=tuple(notes)[:_MAX_NAMED],
            content=self._content and not self._limited,
        )

    def _settle(self) -> None:
        """Let complaints yield to what is asked for, descriptions to it, and all to what is to stay."""
        asked = {way(step) for said in self._said if not said.complaint for step in said.steps}
        for said in self._said:
            if said.complaint:
                said.steps = tuple(step for step in said.steps if way(step) not in asked)
        made = [step for said in self._said for step in said.steps]
        answered = {(step.operation, step.amount > 0) for step in made}
        complains = any(said.complaint for said in self._said)
        for said in self._said:
            described = _DESCRIPTION.fullmatch(said.clause.letters) and remedies(said.clause) & answered
            if _REMARK.fullmatch(said.clause.letters) and not said.steps and not (described or complains):
                said.leave()
            if _PLAIN.fullmatch(said.clause.letters) and remedies(said.clause) & answered:
                said.steps = ()  # "dark, brighten it" was no wish
        kept = self._surroundings and any(step.region is not Region.SKIN for step in made)
        self._limited = self._limited or kept
        for said in self._said if self._limited else ():
            if said.steps or (kept and not said.reason and Kind.BACKGROUND in said.clause.kinds):
                said.leave(LIMITED if said.steps else CANNOT)


def _undone(parts: list[_Said]) -> bool:
    return opposed([step for said in parts for step in said.steps])


def _strange(one: Clause, other: Clause) -> bool:
    return Kind.UNKNOWN in one.kinds | other.kinds


def _text(prompt: str, clause: Clause) -> str:
    """Return the clause word for word but for white space, cut where it is long."""
    start, end = clause.span
    text = " ".join(prompt[start:end].split())
    return text if len(text) <= _MAX_CLAUSE_CHARS else text[: _MAX_CLAUSE_CHARS - 1] + "…"


_DESCRIPTION = compiled("(?:(?:THIS|IT)? STATE)? PICTURE")
_REMARK = compiled("(?:(?:THIS|IT)? STATE)? PICTURE|FIX PIC?")
_PLAIN = compiled("STRENGTH* WORDS_ADJ|THE? WORDS_ADJ REGION")
