"""Bytes of pictures inside running calls: counted per tenant and in all (F82)."""

import pytest

from imageedit_server.access.inflight import BytesInFlight
from imageedit_server.core.errors import Reason, Refusal


def refusal(budget: BytesInFlight, tenant: str, size_bytes: int) -> str:
    """What is said of a call, which ends at once; empty where there is room for it."""
    try:
        with budget.spend(tenant, size_bytes):
            return ""
    except Refusal as refused:
        known = (refused.reason, refused.retry_after_seconds) == (Reason.QUOTA_EXCEEDED, 1.0)
        return refused.message if known else "another refusal"


def test_a_tenant_has_its_bytes_and_leaves_the_others_theirs() -> None:
    budget = BytesInFlight(per_tenant=10, per_server=0)
    with budget.spend("alice", 6), budget.spend("alice", 4):
        assert "this tenant's running calls have 10 bytes" in refusal(budget, "alice", 1)
        assert refusal(budget, "bob", 10) == ""
    assert refusal(budget, "alice", 10) == ""


def test_all_tenants_together_have_theirs() -> None:
    """However many they are: what one has not taken is no other's right."""
    budget = BytesInFlight(per_tenant=10, per_server=15)
    with budget.spend("alice", 10):
        assert "this server's running calls have 15 bytes" in refusal(budget, "bob", 6)
        assert refusal(budget, "bob", 5) == ""


def test_a_refused_call_and_one_that_fails_take_nothing() -> None:
    budget = BytesInFlight(per_tenant=10, per_server=10)

    def fail() -> None:
        with budget.spend("alice", 9):
            assert "10 bytes" in refusal(budget, "alice", 2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert refusal(budget, "alice", 10) == ""


def test_a_call_without_pictures_is_never_refused() -> None:
    budget = BytesInFlight(per_tenant=10, per_server=10)
    with budget.spend("alice", 10):
        assert refusal(budget, "alice", 0) == ""


def test_none_is_no_limit() -> None:
    budget = BytesInFlight(per_tenant=0, per_server=0)
    with budget.spend("alice", 2**40):
        assert refusal(budget, "alice", 2**40) == ""
