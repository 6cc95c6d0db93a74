"""Runs the command as `python -m imageedit_client.cli`."""

from . import main

main()
