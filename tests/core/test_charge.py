"""What attempts and tasks may cost (DESIGN §2, Billing)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imageedit_server.core.charge import BILLED, FREE, Billing, Charge, worst


def test_who_bills_may_have_charged_from_the_intent_on_and_has_at_success() -> None:
    assert not BILLED.is_free
    assert BILLED.intended is Billing.MAY_HAVE_BEEN_CHARGED
    assert BILLED.succeeded is Billing.CHARGED


def test_who_is_free_never_charges() -> None:
    assert FREE.is_free
    assert {FREE.intended, FREE.not_processed, FREE.succeeded} == {Billing.NOT_CHARGED}


@pytest.mark.parametrize("charge", [BILLED, FREE])
def test_what_was_not_processed_costs_nothing_anywhere(charge: Charge) -> None:
    assert charge.not_processed is Billing.NOT_CHARGED


def test_nothing_sent_costs_nothing() -> None:
    assert worst(()) is Billing.NOT_CHARGED


@given(st.lists(st.sampled_from(Billing), min_size=1, max_size=4))
def test_a_task_costs_what_its_dearest_attempt_may_cost(billings: list[Billing]) -> None:
    """Certain charges outweigh possible ones, and possible ones outweigh none; the order does not matter."""
    found = worst(billings)
    if Billing.CHARGED in billings:
        assert found is Billing.CHARGED
    elif Billing.MAY_HAVE_BEEN_CHARGED in billings:
        assert found is Billing.MAY_HAVE_BEEN_CHARGED
    else:
        assert found is Billing.NOT_CHARGED
