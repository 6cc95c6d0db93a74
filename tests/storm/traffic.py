"""How much those sent who mean harm, and what they were told."""

from collections import Counter
from dataclasses import dataclass, field

MIB = 1024 * 1024
TAKEN = ("OK", "HTTP 200", "ANSWER")
"""What no refusal is called."""


@dataclass
class Traffic:
    """``answers`` counts by gRPC status, by HTTP status (``HTTP 401``), or by the frame that said so
    (``GOAWAY 11``)."""

    calls: int = 0
    sent_bytes: int = 0
    answers: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Traffic") -> None:
        """Take in what else was sent."""
        self.calls += other.calls
        self.sent_bytes += other.sent_bytes
        self.answers += other.answers

    def __str__(self) -> str:
        taken = sum(self.answers[each] for each in TAKEN)
        refused = ", ".join(
            f"{name} {times}" for name, times in self.answers.most_common() if name not in TAKEN
        )
        size = f"{self.sent_bytes / MIB:.1f} MiB"
        return f"{self.calls} calls, {size}; answered {taken}, refused: {refused or 'none'}"
