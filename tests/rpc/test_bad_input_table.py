"""The table of bad input is complete."""

import re
from collections import Counter
from collections.abc import Sequence

import pytest
from google.protobuf.message import Message

from tests.rpc.bad_input import CODES, CREATES, Bad, rows, several
from tests.rpc.calls import METHODS
from tests.rpc.world import World

ROWS = rows()


def test_every_rpc_has_bad_input_in_the_table() -> None:
    """A new RPC without a row fails here; ListModels takes nothing that could be wrong."""
    without = set(METHODS) - {row.method for row in ROWS}
    assert without == {"ListModels"}
    assert not METHODS["ListModels"].input_type.fields


FREE = {"validate_only"}
"""Fields that cannot be wrong: every value of their type means something."""


@pytest.mark.parametrize("method", [method for method in METHODS if METHODS[method].input_type.fields])
def test_every_field_has_bad_input_in_the_table(method: str) -> None:
    """A new field of a request without a row fails here."""
    tested = {
        field.name
        for row in ROWS
        if row.method == method
        for message in several(_sample(row))
        if isinstance(message, Message)
        for field, _ in message.ListFields()
    }
    fields = {field.name for field in METHODS[method].input_type.fields}
    assert fields - tested - FREE == set()


@pytest.mark.parametrize("method", CREATES)
def test_every_checked_field_of_a_create_is_named_by_some_refusal(method: str) -> None:
    """BadRequest names each field of a create in at least one row."""
    named = {re.split(r"[.\[]", row.field)[0] for row in ROWS if row.method == method}
    assert {field.name for field in METHODS[method].input_type.fields} - named - FREE == set()


def test_every_reason_that_input_can_cause_is_in_the_table() -> None:
    """Each reason of DESIGN's table that a caller can cause stands in a row; one is tested with its twins."""
    reasons = {reason for reasons in CODES.values() for reason in reasons.split()}
    assert reasons - {row.reason for row in ROWS} == {"REQUEST_ID_REUSED"}


def test_no_two_rows_are_called_the_same() -> None:
    """So that a failure names its row."""
    names = Counter((row.method, row.name) for row in ROWS)
    assert [name for name, count in names.items() if count > 1] == []


def _sample(row: Bad) -> Message | bytes | Sequence[Message | bytes]:
    nowhere = World(**{field: "x" for field in World.__slots__ if field != "last_seq"}, last_seq=1)
    return row.make(nowhere)
