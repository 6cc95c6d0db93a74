"""What a request asks for does not hang on the order in which its fields are written (P3)."""

from hypothesis import given
from hypothesis import strategies as st

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2
from imageedit_server.wire.conversion import edit_image_draft

words = st.text(max_size=4)
sources = st.builds(image_pb2.ImageSource, url=words) | st.builds(
    image_pb2.ImageSource, content=st.binary(max_size=4)
)
requests = st.builds(
    pb.EditImageRequest,
    request_id=words,
    user_id=words,
    model=words,
    prompt=words,
    images=st.lists(sources, max_size=3),
    mask=st.none() | sources,
    n=st.integers(0, 3),
    size=words,
    labels=st.dictionaries(words, words, max_size=3),
    on_unknown=st.integers(0, 2),
    seedream=st.none() | st.builds(pb.SeedreamOptions, quality=st.integers(0, 2)),
)


@given(requests, st.randoms(use_true_random=False))
def test_a_request_is_the_same_in_any_order(request: pb.EditImageRequest, random) -> None:
    fields = in_fields(request)
    random.shuffle(fields)
    shuffled = pb.EditImageRequest.FromString(b"".join(fields))
    assert edit_image_draft(shuffled).sha256() == edit_image_draft(request).sha256()


def in_fields(request: pb.EditImageRequest) -> list[bytes]:
    """Each field of a message by itself, as bytes that may stand in any order; so each entry of a map."""
    fields = []
    for field, value in request.ListFields():
        if field.name == "labels":
            fields += [pb.EditImageRequest(labels={key: value[key]}).SerializeToString() for key in value]
            continue
        alone = pb.EditImageRequest()
        alone.CopyFrom(request)
        for other, _ in request.ListFields():
            if other is not field:
                alone.ClearField(other.name)
        fields.append(alone.SerializeToString())
    return fields
