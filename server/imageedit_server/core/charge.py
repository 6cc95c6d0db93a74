"""What an attempt may cost, by what is known of its paid call: every rule of billing (DESIGN §2, Billing)."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Billing(StrEnum):
    """What the caller may have to pay."""

    NOT_CHARGED = "NOT_CHARGED"
    """Nothing was sent, or the vendor proved that it did nothing, or it never bills."""
    CHARGED = "CHARGED"
    """The vendor reported success, whatever became of the result."""
    MAY_HAVE_BEEN_CHARGED = "MAY_HAVE_BEEN_CHARGED"
    """Everything between: nobody knows, or the vendor took the work and did not finish it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """How a provider bills: what an attempt there may cost, by what is known of its paid call.

    What is learnt in between, that the vendor took the work or failed it, changes nothing.
    """

    intended: Billing = Billing.MAY_HAVE_BEEN_CHARGED
    """From the durable intent to pay on: the call may be sent, and its answer lost, at any moment."""
    not_processed: Billing = Billing.NOT_CHARGED
    """The vendor proved that it did nothing."""
    succeeded: Billing = Billing.CHARGED
    """The vendor reported success: it may bill, whatever happens to the result."""

    @property
    def is_free(self) -> bool:
        """Whether nothing is ever billed, so that no call has to be guarded."""
        return self.intended is Billing.NOT_CHARGED


BILLED = Charge()
FREE = Charge(intended=Billing.NOT_CHARGED, succeeded=Billing.NOT_CHARGED)


def worst(billings: Iterable[Billing]) -> Billing:
    """Return what a task costs whose attempts cost ``billings``; NOT_CHARGED without any."""
    severity = (Billing.NOT_CHARGED, Billing.MAY_HAVE_BEEN_CHARGED, Billing.CHARGED)
    return max(billings, key=severity.index, default=Billing.NOT_CHARGED)
