"""Downloads: whole and right, or not at all."""

import hashlib

import grpc
import pytest

from imageedit.v1 import image_pb2
from imageedit_client import AsyncClient, Client, DataLoss, NotFound, Unavailable
from imageedit_client.downloads import PartialFile

CONTENT = bytes(range(256)) * 40
IMAGE = image_pb2.Image(
    image_id=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}",
    media_type="image/jpeg",
    size_bytes=len(CONTENT),
)


def whole(say):
    return [say.info(IMAGE), say.chunk(CONTENT[:4000]), say.chunk(CONTENT[4000:])]


def in_two_streams(say):
    """The first breaks after 4000 bytes; the second goes on from there."""
    broken = [say.info(IMAGE), say.chunk(CONTENT[:4000]), say.Refusal()]
    return broken, [say.info(IMAGE), say.chunk(CONTENT[4000:])]


def test_the_bytes_arrive(server, say):
    """As they are stored."""
    server.on("DownloadImage", whole(say))
    with Client(server.address) as client:
        assert client.download(IMAGE.image_id) == CONTENT


def test_a_broken_download_goes_on_where_it_stopped(server, say, fake_time):
    """No byte is asked for twice."""
    server.on("DownloadImage", *in_two_streams(say))
    with Client(server.address, sleep=fake_time.sleep) as client:
        assert client.download(IMAGE.image_id) == CONTENT
    assert [request.offset for request in server.received["DownloadImage"]] == [0, 4000]


async def test_the_async_download_goes_on_where_it_stopped(server, say, fake_time, tmp_path):
    """The async face keeps the same rule, also into a file."""
    server.on("DownloadImage", *in_two_streams(say), whole(say))
    async with AsyncClient(server.address, sleep=fake_time.sleep_async) as client:
        saved = await client.download_to(IMAGE.image_id, tmp_path / "out.jpg")
        assert await client.download(IMAGE.image_id) == CONTENT
    assert saved.path.read_bytes() == CONTENT
    assert [request.offset for request in server.received["DownloadImage"]] == [0, 4000, 0]


def test_a_file_is_named_by_what_was_asked_for(server, say, tmp_path):
    """And by nothing that the server says of it: a name of its own could lead out of the folder."""
    strange = image_pb2.Image(image_id="sha256:../../../../x", media_type="../x", size_bytes=len(CONTENT))
    server.on("DownloadImage", [say.info(strange), say.chunk(CONTENT)])
    (tmp_path / "folder").mkdir()
    with Client(server.address) as client:
        saved = client.download_to(IMAGE.image_id, tmp_path / "folder")
    assert saved.path == tmp_path / "folder" / IMAGE.image_id[7:19]
    assert saved.image.image_id == IMAGE.image_id


def test_a_stream_that_ends_ok_too_early_is_resumed(server, say, fake_time):
    """The size in the info says what is missing."""
    server.on("DownloadImage", [say.info(IMAGE), say.chunk(CONTENT[:1])])
    server.on("DownloadImage", [say.info(IMAGE), say.chunk(CONTENT[1:])])
    with Client(server.address, sleep=fake_time.sleep) as client:
        assert client.download(IMAGE.image_id) == CONTENT


def test_a_download_survives_a_restart_in_its_middle(server, say, fake_time):
    """The server is stopped under the stream, comes back, and the rest is fetched."""
    server.on("DownloadImage", [say.info(IMAGE), say.chunk(CONTENT[:4000]), say.Refusal()])
    server.on("DownloadImage", [say.info(IMAGE), say.chunk(CONTENT[4000:])])

    def restart():
        server.stop()
        server.start()

    fake_time.during_sleep = restart
    with Client(server.address, sleep=fake_time.sleep) as client:
        assert client.download(IMAGE.image_id) == CONTENT


def test_wrong_bytes_are_never_handed_out(server, say, tmp_path):
    """Another SHA-256 is DataLoss; no file is left, not even a hidden one, and the old one is untouched."""
    wrong = [say.info(IMAGE), say.chunk(CONTENT[:-1] + b"?")]
    server.on("DownloadImage", wrong, wrong)
    path = tmp_path / "out.jpg"
    path.write_bytes(b"old")
    with Client(server.address) as client:
        with pytest.raises(DataLoss, match="SHA-256"):
            client.download_to(IMAGE.image_id, path)
        with pytest.raises(DataLoss):
            client.download(IMAGE.image_id)
    assert [each.name for each in tmp_path.iterdir()] == ["out.jpg"]
    assert path.read_bytes() == b"old"


def test_corruption_found_by_the_service_is_not_tried_again(server, say, fake_time):
    """DATA_LOSS does not pass by itself."""
    corrupt = say.Refusal(code=grpc.StatusCode.DATA_LOSS, reason="IMAGE_CORRUPT")
    server.on("DownloadImage", [say.info(IMAGE), say.chunk(CONTENT[:10]), corrupt])
    with Client(server.address, sleep=fake_time.sleep) as client, pytest.raises(DataLoss):
        client.download(IMAGE.image_id)
    assert fake_time.slept == []


def test_an_existing_file_is_replaced_whole(server, say, tmp_path):
    """The name always holds either the old picture or the new one."""
    server.on("DownloadImage", whole(say))
    path = tmp_path / "out.jpg"
    path.write_bytes(b"old and longer" * 10_000)
    with Client(server.address) as client:
        assert client.download_to(IMAGE.image_id, path).image == IMAGE
    assert path.read_bytes() == CONTENT


def test_a_file_has_all_its_bytes_when_it_gets_its_name(tmp_path):
    """Whoever sees the name may read at once."""
    with PartialFile(tmp_path / "out.jpg") as partial:
        partial.sink.write(b"few bytes")
        assert partial.keep(IMAGE).path.read_bytes() == b"few bytes"


def test_a_folder_gets_a_file_named_by_the_image(server, say, tmp_path):
    """The first twelve hex digits and the media type's ending."""
    server.on("DownloadImage", whole(say))
    with Client(server.address) as client:
        saved = client.download_to(IMAGE.image_id, tmp_path)
    assert saved.path == tmp_path / f"{IMAGE.image_id[7:19]}.jpg"


def test_an_unknown_image_leaves_no_file(server, say, tmp_path):
    """The refusal comes through as it is."""
    server.on("DownloadImage", [say.Refusal(code=grpc.StatusCode.NOT_FOUND, reason="IMAGE_NOT_FOUND")])
    with Client(server.address) as client, pytest.raises(NotFound):
        client.download_to(IMAGE.image_id, tmp_path / "out.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_download_without_progress_is_given_up(server, say, fake_time):
    """Streams that bring no byte use up the patience."""
    server.on("DownloadImage", *[[say.info(IMAGE), say.chunk(b""), say.Refusal()]] * 9)
    pace = fake_time.pace(patience_seconds=1.0)
    with Client(server.address, pace=pace, sleep=fake_time.sleep) as client, pytest.raises(Unavailable):
        client.download(IMAGE.image_id)
    assert sum(fake_time.slept) <= 1.0
