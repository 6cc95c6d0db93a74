"""How an operation under a fault may end."""

HOME, IN_DOUBT, LATE, LOST, UNPAID = "home", "in doubt", "late", "paid and lost", "unpaid"
TWICE, OTHER_BYTES, STUCK = "paid twice", "other bytes", "stuck"
"""Of a paid edit: the first is good, the second where nobody can know: ``edits.may_be_in_doubt``."""
KEPT, REFUSED = "kept", "refused"
"""Of all else: what was acknowledged is there; it was refused, with a sentence, and went through again."""
GONE, SILENT, SPOILT = "gone", "without a word", "spoilt"
"""What was acknowledged is not there; nothing says what failed; only a person could mend it."""
GOOD = (HOME, IN_DOUBT, KEPT, REFUSED)
LOSSES = (LATE, LOST, UNPAID, TWICE, OTHER_BYTES, GONE)
NEEDS_A_PERSON = (STUCK, SILENT, SPOILT)
