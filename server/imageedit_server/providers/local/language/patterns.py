"""Patterns over kinds of words: regular expressions whose letters are ``Kind`` members.

``DO? OBJECT ADJ`` is written with the names of kinds and of the groups in ``grammar.txt``, and compiled once.
A lexeme is one letter, so a pattern that matches a whole clause accounts for every word of it.
"""

import re
from importlib.resources import files

from imageedit_server.providers.local.language.words import Kind

_NAME = re.compile(r"[A-Z][A-Z_]+")


def lines_of(name: str) -> list[str]:
    """Return the lines of a file of this room; one that begins with a space goes on with the one before."""
    text = (files(__package__) / name).read_text(encoding="utf-8").replace("\n ", "")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


GRAMMAR = lines_of("grammar.txt")
_GROUPS = dict(line.split(" = ") for line in GRAMMAR if " = " in line)


def compiled(pattern: str) -> re.Pattern[str]:
    """Compile a pattern of names."""
    return re.compile(_letters(pattern))


def _letters(pattern: str) -> str:
    return _NAME.sub(lambda found: _letter(found.group()), pattern).replace(" ", "")


def _letter(name: str) -> str:
    group = _GROUPS.get(name)
    return f"(?:{_letters(group)})" if group else Kind[name].letter
