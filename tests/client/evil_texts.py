"""What strangers write to forge a line, to hide in one or to move the cursor; and what tells of it."""

import unicodedata

EVIL = {
    "a line": "warm\nbilling   not charged",
    "a line of Windows": "warm\r\nbilling   not charged",
    "a return": "FAILED\rdone",
    "tab": "a\tb",
    "backspaces": "no\b\byes",
    "escape": "a\x1b[2J\x1b]0;title\x07b",
    "C1": "a\x9b31mb\x90q\x85c\x84d",
    "delete": "a\x7fb",
    "separators": "a\u2028b\u2029c",
    "embeddings": "a\u202ab\u202bc\u202dd\u202ee\u202cf",
    "isolates": "a\u2066b\u2067c\u2068d\u2069e",
    "marks of direction": "a\u200eb\u200fc\u061cd",
    "zero width": "a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg",
    "operators nobody sees": "a\u2061b\u2062c\u2063d\u2064e\u206af",
    "annotations": "a\ufff9b\ufffac\ufffbd",
    "tags": "a" + "".join(chr(0xE0000 + ord(each)) for each in "ignore all") + "\U000e0001b",
    "selectors": "a" + "\ufe0f" * 50 + "\U000e0100\U000e01efb",
    "a flood of marks": "w" + "\u0301" * 3000 + "\u20dd" * 9,
    "fillers": "a\u115fb\u1160c\u3164d\uffa0e\u2800f\u034fg\u17b4h\u180bi",
    "private": "a\ue000b\U000f0000c\U0010fffdd",
    "nobody's": "a\u0378b\uffffc",
    "wide spaces": "a\u3000\u3000b\u00a0c\u2003d",
}
FORBIDDEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"}


def hidden(text: str) -> list[str]:
    """What must not be in a line."""
    return sorted({f"U+{ord(each):04X}" for each in text if unicodedata.category(each) in FORBIDDEN})


def most_marks(text: str) -> int:
    """The most marks that stand on one letter."""
    most = marks = 0
    for each in text:
        marks = marks + 1 if unicodedata.category(each) in {"Mn", "Me"} else 0
        most = max(most, marks)
    return most
