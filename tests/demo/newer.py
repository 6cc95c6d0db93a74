"""``imageedit-server`` of a newer version, which knows the form in which the demo's relay answers."""

from imageedit_server import cli
from tests.storm.riddles import know_riddles

if __name__ == "__main__":
    know_riddles()
    cli.main()
