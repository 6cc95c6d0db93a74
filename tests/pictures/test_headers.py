"""What a file's first bytes tell is what Pillow makes of it, so that the loop need not decode it."""

from io import BytesIO

import pytest
from PIL import Image

from imageedit_server.core.image import Image as Facts
from imageedit_server.images.mending import make_good
from imageedit_server.pictures.headers import stored_mode
from tests.images.pictures import encoded
from tests.pictures.ordinary import Photo, photos


def told(content: bytes) -> str:
    found = make_good(content, max_pixels=50_000_000).inspection
    facts = Facts(
        image_id="sha256:0",
        media_type=found.media_type,
        width=found.width,
        height=found.height,
        size_bytes=len(content),
        transparency=found.transparency,
    )
    return stored_mode(content, facts)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("photo", photos((64, 64)), ids=lambda photo: photo.name)
def test_the_mode_is_told(photo: Photo) -> None:
    with Image.open(BytesIO(photo.content)) as image:
        image.load()
    keyed = "+tRNS" if "transparency" in image.info else ""
    mode = "LA" if photo.name.startswith("LA PNG of 16 bits") else image.mode  # which Pillow reads as RGBA
    assert told(photo.content) == mode + keyed


@pytest.mark.parametrize("cut", [2, 4, 20, 100, 160])
def test_a_header_that_is_not_there_is_unknown(cut: int) -> None:
    """The file was looked at before; this must not fail all the same."""
    content = encoded(Image.new("RGB", (8, 8)), "JPEG")
    facts = Facts(image_id="sha256:0", media_type="image/jpeg", width=8, height=8, size_bytes=cut)
    assert stored_mode(content[:cut], facts) == ""


def test_a_header_behind_endless_metadata_is_unknown() -> None:
    content = encoded(Image.new("RGB", (8, 8)), "JPEG")
    comments = b"\xff\xfe\0\2" * 2000
    facts = Facts(image_id="sha256:0", media_type="image/jpeg", width=8, height=8, size_bytes=9000)
    assert stored_mode(content[:2] + comments + content[2:], facts) == ""
