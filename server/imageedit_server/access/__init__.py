"""Who may call and how often. Every door stands on it, and it knows no transport.

``callers`` and ``keys`` say who calls, ``rules`` what they must show, ``certificates`` what the server shows.
A tenant's limits: ``rates`` (requests per second), ``watches`` and ``uploads`` (open at once). How many tasks
may wait and how many bytes be kept is counted with what is stored, in ``store/quotas.py``.
"""
