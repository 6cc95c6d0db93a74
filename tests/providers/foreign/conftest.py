"""The proof of the foreign adapter is run as its own people run it: by ``test_foreign.py``."""

collect_ignore = ["proof"]
