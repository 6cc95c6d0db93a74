"""Hints of changes between writers, workers and watchers. The log is the truth, a hint only wakes."""
