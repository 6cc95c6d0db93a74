"""The size of the result: as asked for, else the model's own, else nearest to the first image (DESIGN §2)."""

from typing import Any

import pytest

from imageedit_server.core.request import Input
from imageedit_server.core.sizing import with_size
from imageedit_server.core.task import Status
from tests.core.making import model, picture, request

NEAREST = "The size 4:3 was chosen: of those of p/m it is nearest to 64x48."
LATER = Input(url="https://a.example/x.png")
RATIOS = ("1:1", "4:3")

ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], str, tuple[str, ...]]] = {
    "asked for": ({"size": "1:1"}, {"sizes": RATIOS, "default_size": "4:3"}, "1:1", ()),
    "asked for, before the picture is there": (
        {"size": "1:1", "images": (LATER,)},
        {"sizes": RATIOS},
        "1:1",
        (),
    ),
    "the model's own": ({}, {"sizes": RATIOS, "default_size": "1:1"}, "1:1", ()),
    "the model's own for auto": ({"size": "auto"}, {"sizes": RATIOS, "default_size": "1:1"}, "1:1", ()),
    "nearest": ({}, {"sizes": RATIOS}, "4:3", (NEAREST,)),
    "nearest for auto": ({"size": "auto"}, {"sizes": RATIOS}, "4:3", (NEAREST,)),
    "nearest to the first": (
        {"images": (picture(), picture(width=48))},
        {"sizes": RATIOS},
        "4:3",
        (NEAREST,),
    ),
    "auto where the model has it": ({}, {"sizes": ("auto", *RATIOS)}, "auto", ()),
    "none where none can be chosen": ({}, {}, "", ()),
    "not yet": ({"images": (LATER, picture())}, {"sizes": RATIOS}, "", ()),
    "of no picture": ({"images": ()}, {"sizes": RATIOS}, "", ()),
}


@pytest.mark.parametrize(("fields", "limits", "size", "warnings"), ROWS.values(), ids=ROWS.keys())
def test_the_size_is_chosen(
    fields: dict[str, Any], limits: dict[str, Any], size: str, warnings: tuple[str, ...]
) -> None:
    """Only a choice of ours is a warning."""
    chosen = with_size(Status(), request(**fields), model(**limits))
    assert (chosen.size, chosen.warnings) == (size, warnings)
    again = with_size(chosen, request(**fields), model(**limits))
    assert again == chosen
