"""What the strategies of several forms share, made once: to make one takes longer than to draw of it."""

from hypothesis import strategies as st

PLACE = st.integers(0, 2**16)
"""Where in anything; what is beyond its end counts from the beginning again."""
PLACES = st.lists(PLACE, max_size=4)
ONE_IN_TWO, ONE_IN_FOUR, ONE_IN_TEN = (st.sampled_from([True] + [False] * more) for more in (1, 3, 9))
HOWS = st.sampled_from(("move", "drop", "double", "cut"))


def disorder(draw: st.DrawFn, pieces: list[bytes]) -> None:
    """Take one of the pieces out of its order, leave it out, double it or cut it short."""
    at, how = draw(PLACE) % len(pieces), draw(HOWS)
    match how:
        case "move":
            moved = pieces.pop(at)
            pieces.insert(draw(PLACE) % (len(pieces) + 1), moved)
        case "drop" if len(pieces) > 1:
            del pieces[at]
        case "double":
            pieces.insert(at, pieces[at])
        case _:
            pieces[at] = pieces[at][: draw(PLACE) % (len(pieces[at]) + 1)]
