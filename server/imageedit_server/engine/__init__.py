"""Moves tasks forward: claim, prepare, submit, poll, download, recover. The only place that retries."""
