"""Runs the command as ``python -m imageedit_server.cli``."""

from imageedit_server.cli import main

main()
