"""What came of all rounds, as it is judged and published."""

import errno
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.faults.place import Ended
from tests.faults.verdicts import GOOD, IN_DOUBT, LOSSES, NEEDS_A_PERSON, REFUSED

COLUMNS = (
    *("rows", "home or kept", "refused", "in doubt", "lost", "needs a person", "with a restart"),
    *("not reached", "others are alike", "no time"),
)


@dataclass
class Report:
    """What came of all rounds. Those counters are by operation."""

    tried: list[Ended] = field(default_factory=list)
    not_reached: Counter[str] = field(default_factory=Counter)
    """The operation was over before its call came."""
    alike: Counter[str] = field(default_factory=Counter)
    """Rounds that were not planned, since others are like them (``plan.LEFT_OUT``)."""
    no_time: Counter[str] = field(default_factory=Counter)
    """Rounds for which there was no time."""
    lost: list[str] = field(default_factory=list)
    """Pictures that had been acknowledged, and were gone after the last restart."""
    seconds: float = 0.0

    def add(self, ended: Ended) -> None:
        """Count one round."""
        if ended.seen.failed:
            self.tried.append(ended)
        else:
            self.not_reached[ended.operation] += 1

    @property
    def rounds(self) -> int:
        """How many there were."""
        return len(self.tried) + self.not_reached.total()

    def bad(self) -> list[Ended]:
        """Return the rounds that did not end as they must."""
        return [ended for ended in self.tried if ended.verdict not in GOOD]

    def figures(self) -> dict[str, str]:
        """Return what is published, by name."""
        faults = [ended.fault for ended in self.tried if ended.fault]
        calls = {
            (ended.operation, ended.fault.call, ended.fault.first) for ended in self.tried if ended.fault
        }
        errors = Counter(errno.errorcode[fault.error] for fault in faults)
        verdicts = Counter(ended.verdict for ended in self.tried)
        return {
            "calls x errnos tried": f"{len(faults)} ({len(calls)} calls; {self.not_reached.total()} not "
            f"reached; left out {self.no_time.total()} for want of time, {self.alike.total()} as alike)",
            "by errno": ", ".join(f"{name} {count}" for name, count in sorted(errors.items())),
            **{verdict: str(count) for verdict, count in verdicts.most_common()},
            "rounds with a restart": str(sum(ended.restarts > 0 for ended in self.tried)),
            "seconds": f"{self.seconds:.0f}",
        }

    def by_operation(self) -> Iterator[tuple[str, ...]]:
        """Yield the heading, a row for each operation, and their sum."""
        yield ("operation", *COLUMNS)
        rows = {operation: self._row(operation) for operation in self.alike}
        yield from ((operation, *map(str, row)) for operation, row in rows.items())
        yield ("all", *(str(sum(column)) for column in zip(*rows.values(), strict=True)))

    def _row(self, operation: str) -> tuple[int, ...]:
        tried = [ended for ended in self.tried if ended.operation == operation]
        verdicts = Counter(ended.verdict for ended in tried)
        kinds = ((REFUSED,), (IN_DOUBT,), LOSSES, NEEDS_A_PERSON)
        others = [sum(verdicts[verdict] for verdict in kind) for kind in kinds]
        return (
            len(tried),
            len(tried) - sum(others),
            *others,
            sum(ended.restarts > 0 for ended in tried),
            self.not_reached[operation],
            self.alike[operation],
            self.no_time[operation],
        )

    def by_fault(self) -> dict[str, str]:
        """Return how often each kind of fault had which end, of every operation."""
        ends: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for ended in self.tried:
            if ended.fault:
                error = errno.errorcode[ended.fault.error]
                started = ", started again" if ended.restarts else ""
                row = f"{ended.operation}, {ended.fault.call.name.lower()} {error}"
                ends[row][f"{ended.verdict}, {ended.story}{started}"] += 1
        return {
            row: "; ".join(f"{count} x {end}" for end, count in found.most_common())
            for row, found in sorted(ends.items())
        }
