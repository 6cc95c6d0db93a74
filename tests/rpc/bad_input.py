"""Every kind of bad input and what it gets, as data (F75, F77 to F84).

A row is a request, the reason of its refusal and the field that BadRequest names, as a proto path.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from imageedit.v1 import image_edit_service_pb2 as pb
from imageedit.v1 import image_pb2, task_pb2
from tests.rpc.pictures import JPEG, PHOTO_FILE, PNG, WEBP, bomb, chunk, mask, noise, picture
from tests.rpc.serving import MAX_IMAGE_BYTES, MIB
from tests.rpc.world import USER, World, edit

CODES = {
    "INVALID_ARGUMENT": (
        "INVALID_FIELD UNKNOWN_MODEL OPTION_NOT_SUPPORTED IMAGE_UNDECODABLE IMAGE_TOO_LARGE URL_REFUSED"
        " MALFORMED_REQUEST"
    ),
    "NOT_FOUND": "TASK_NOT_FOUND IMAGE_NOT_FOUND",
    "FAILED_PRECONDITION": (
        "REQUEST_ID_REUSED BASE_MODEL_NOT_READY BASE_MODEL_ELSEWHERE SOURCE_NOT_READY TASK_NOT_FINISHED"
        " IMAGE_IN_USE"
    ),
    "OUT_OF_RANGE": "SEQ_OUT_OF_RANGE OFFSET_OUT_OF_RANGE",
}
"""The code of each reason that a caller can bring about by what it sends (DESIGN §2, Errors)."""

Requests = Message | bytes | Sequence[Message | bytes]
MAX_INT64 = 2**63 - 1
UNKNOWN_TASK = f"task_{0:032x}"
UNKNOWN_IMAGE = f"sha256:{0:064x}"


@dataclass(frozen=True, slots=True)
class Bad:
    """One row; ``make`` takes the world, since only that knows the ids."""

    name: str
    method: str
    make: Callable[[World], Requests]
    reason: str
    field: str = ""

    @property
    def code(self) -> str:
        """The status code that the reason travels under."""
        return next(code for code, reasons in CODES.items() if self.reason in reasons.split())


def several(requests: Requests) -> Sequence[Message | bytes]:
    """The messages of a row."""
    return [requests] if isinstance(requests, Message | bytes) else requests


def rows() -> list[Bad]:
    """Every row."""
    return [
        *_edit_image(),
        *_options(),
        *_limits(),
        *_sources(),
        *_urls(),
        *_pictures(),
        *_model_edit(),
        *_default_model(),
        *_common(),
        *_ids(),
        *_lists(),
        *_uploads(),
    ]


# Texts that no field takes (P27)

NASTY = {
    "NUL": "a\0b",
    "escape": "a\x1b[31mb",
    "carriage return": "a\r\nb",
    "delete": "a\x7fb",
    "C1 control": "a\x85b",
}


def _edit_image() -> Iterator[Bad]:
    def row(name: str, field: str, reason: str = "INVALID_FIELD", **fields: object) -> Bad:
        return Bad(name, "EditImage", lambda world: edit(world.png, **fields), reason, field)

    for kind, text in NASTY.items():
        yield row(f"prompt with {kind}", "prompt", prompt=text)
        yield row(f"user_id with {kind}", "user_id", user_id=text)
        yield row(f"request_id with {kind}", "request_id", request_id=text)
        yield row(f"model with {kind}", "model", model=text)
        yield row(f"size with {kind}", "size", size=text)
        yield row(f"label key with {kind}", "labels", labels={text: "x"})
        yield row(f"label value with {kind}", "labels", labels={"x": text})
    yield row("no prompt", "prompt", prompt="")
    yield row("blank prompt", "prompt", prompt=" \n\t\u3000")
    yield row("prompt of 32001 characters", "prompt", prompt="光" * 32_001)
    yield row("prompt of 1 MB", "prompt", prompt="a" * 1_000_000)
    yield row("user_id of 65", "user_id", user_id="u" * 65)
    yield row("request_id of 129", "request_id", request_id="r" * 129)
    yield row("request_id in Chinese", "request_id", request_id="编号")
    yield row("request_id with emoji", "request_id", request_id="🙂")
    yield row("model of 1 MB", "model", model="m" * 1_000_000)
    yield row("model that is not there", "model", "UNKNOWN_MODEL", model="gpt-image-9")
    yield row("model with markup", "model", "UNKNOWN_MODEL", model="{{7*7}}'; DROP TABLE task; --")
    yield row("model of 128 wide characters", "model", "UNKNOWN_MODEL", model="\U0001f98a" * 128)
    yield row("size of 1 MB", "size", size="9" * 1_000_000)
    yield row("n of -1", "n", n=-1)
    yield row("smallest n", "n", n=-(2**31))
    yield row("largest n", "n", n=2**31 - 1)
    yield row("no image", "images", images=[])
    yield row("17 images", "images", images=[image_pb2.ImageSource(image_id=UNKNOWN_IMAGE)] * 17)
    yield row("17 references", "reference_images", reference_images=[_ref(UNKNOWN_IMAGE)] * 17)
    yield row(
        "much at once",
        "images",
        prompt="",
        n=-1,
        user_id="u" * 65,
        model="\U0001f98a\0" * 64,
        size="\U0001f98a\0" * 64,
        labels={f"{number:064}": "v" * 257 for number in range(100)},
        images=[image_pb2.ImageSource()] * 100,
    )
    yield row("5000 images without a source", "images", images=[image_pb2.ImageSource()] * 5000)


def _options() -> Iterator[Bad]:
    def row(name: str, field: str, reason: str = "INVALID_FIELD", **fields: object) -> Bad:
        return Bad(name, "EditImage", lambda world: edit(world.png, **fields), reason, field)

    openai, seedream, ideogram = pb.OpenaiOptions, pb.SeedreamOptions, pb.IdeogramOptions
    other = "OPTION_NOT_SUPPORTED"
    yield row("openai options for scripted", "openai", other, openai=openai(quality="low"))
    yield row("empty openai options for scripted", "openai", other, openai=openai())
    yield row("seedream options for scripted", "seedream", other, seedream=seedream())
    yield row("ideogram options for scripted", "ideogram", other, ideogram=ideogram())
    yield row("ideogram for seedream", "ideogram", other, model="narrow/edit", ideogram=ideogram())
    yield row("quality with NUL", "openai.quality", openai=openai(quality="a\0"))
    yield row("long background", "openai.background", openai=openai(background="b" * 129))
    yield row("output_format with CR", "openai.output_format", openai=openai(output_format="png\r"))
    yield row("long input_fidelity", "openai.input_fidelity", openai=openai(input_fidelity="h" * 129))
    yield row("compression of 101", "openai.output_compression", openai=openai(output_compression=101))
    yield row("compression of -1", "openai.output_compression", openai=openai(output_compression=-1))
    yield row("4 partial images", "openai.partial_images", openai=openai(partial_images=4))
    yield row("-1 partial images", "openai.partial_images", openai=openai(partial_images=-1))
    yield row("negative seed", "ideogram.seed", ideogram=ideogram(seed=-1))
    yield row("smallest seed", "ideogram.seed", ideogram=ideogram(seed=-(2**63)))
    yield row("seed of 2^31", "ideogram.seed", ideogram=ideogram(seed=2**31))
    yield row("unknown quality", "seedream.quality", seedream=_enum(seedream(), quality=3))
    yield row("unknown speed", "ideogram.rendering_speed", ideogram=_enum(ideogram(), rendering_speed=77))
    yield row("negative style", "ideogram.style", ideogram=_enum(ideogram(), style=-1))


def _limits() -> Iterator[Bad]:
    """What one model does not take though another would."""

    def row(name: str, field: str, **fields: object) -> Bad:
        given = {"model": "narrow/edit", "size": "64x64", **fields}
        return Bad(name, "EditImage", lambda world: edit(world.png, **given), "INVALID_FIELD", field)

    yield row("prompt beyond the model", "prompt", prompt="x" * 21)
    yield row("n beyond the model", "n", n=3)
    yield row("model of another kind", "model", model="narrow/own-bases")
    for size in (
        "65x64",
        "4:3 ",
        " 4:3",
        "3:4",
        "0:1",
        "-1",
        "-4:3",
        "0x0",
        "999999x1",
        "4：3",
        "٤:٣",
        "64×64",
        "64X64",
        "64x64x64",
        "AUTO",
        "NaN",
        "1e3x1",
        "x",
        ":",
    ):
        yield row(f"size {size!r}", "size", size=size)
    for name, make, field in (
        ("too few images", lambda world: edit(world.png, model="narrow/masked"), "images"),
        (
            "three images",
            lambda world: edit(world.png, images=[_ref(world.png)] * 3, model="narrow/edit"),
            "images",
        ),
        (
            "two references for one",
            lambda world: edit(world.png, reference_images=[_ref(world.png)] * 2, model="narrow/edit"),
            "reference_images",
        ),
        ("no mask where required", lambda world: edit(world.png, model="narrow/masked"), "mask"),
        (
            "mask where none is taken",
            lambda world: edit(world.png, mask=_ref(world.mask), model="narrow/edit"),
            "mask",
        ),
        ("JPEG for PNG only", lambda world: edit(world.jpeg, model="narrow/edit"), "images[0]"),
        (
            "JPEG reference for PNG only",
            lambda world: edit(world.png, reference_images=[_ref(world.jpeg)], model="narrow/edit"),
            "reference_images[0]",
        ),
        ("n of 2 for local", lambda world: edit(world.png, model="local/basic", n=2), "n"),
        (
            "two images for local",
            lambda world: edit(world.png, model="local/basic", images=[_ref(world.png)] * 2),
            "images",
        ),
    ):
        yield Bad(name, "EditImage", make, "INVALID_FIELD", field)


def _sources() -> Iterator[Bad]:
    """Pictures that are named, in each place where one can stand."""
    source, output = image_pb2.ImageSource, image_pb2.TaskOutput
    wrong: list[tuple[str, Callable[[World], image_pb2.ImageSource], str, str]] = [
        ("no source", lambda world: source(), "INVALID_FIELD", ""),
        ("empty content", lambda world: source(content=b""), "INVALID_FIELD", ".content"),
        ("empty image_id", lambda world: source(image_id=""), "INVALID_FIELD", ".image_id"),
        (
            "no task",
            lambda world: source(task_output=output(index=0)),
            "INVALID_FIELD",
            ".task_output.task_id",
        ),
        (
            "negative index",
            lambda world: source(task_output=output(task_id=world.finished, index=-1)),
            "INVALID_FIELD",
            ".task_output.index",
        ),
        ("url with NUL", lambda world: source(url="https://example.com/\0"), "INVALID_FIELD", ".url"),
        (
            "url of 9000",
            lambda world: source(url=f"https://example.com/{'a' * 9000}"),
            "INVALID_FIELD",
            ".url",
        ),
        ("not a picture", lambda world: source(content=b"<svg/>"), "IMAGE_UNDECODABLE", ".content"),
        ("unknown image", lambda world: source(image_id=UNKNOWN_IMAGE), "IMAGE_NOT_FOUND", ""),
        (
            "image id cut short",
            lambda world: source(image_id=UNKNOWN_IMAGE[:-1]),
            "INVALID_FIELD",
            ".image_id",
        ),
        (
            "a path for an image",
            lambda world: source(image_id="../../etc/passwd"),
            "INVALID_FIELD",
            ".image_id",
        ),
        (
            "unknown task",
            lambda world: source(task_output=output(task_id=UNKNOWN_TASK)),
            "TASK_NOT_FOUND",
            "",
        ),
        (
            "index beyond",
            lambda world: source(task_output=output(task_id=world.finished, index=1)),
            "IMAGE_NOT_FOUND",
            "",
        ),
        (
            "largest index",
            lambda world: source(task_output=output(task_id=world.finished, index=2**31 - 1)),
            "IMAGE_NOT_FOUND",
            "",
        ),
        (
            "output of a failed task",
            lambda world: source(task_output=output(task_id=world.failed)),
            "IMAGE_NOT_FOUND",
            "",
        ),
        (
            "output of an unfinished task",
            lambda world: source(task_output=output(task_id=world.unfinished)),
            "SOURCE_NOT_READY",
            "",
        ),
    ]
    for name, make, reason, suffix in wrong:
        # The path is named where the picture itself is wrong, not where it names something that is not there.
        named = reason in ("INVALID_FIELD", "IMAGE_UNDECODABLE")
        yield Bad(
            f"{name} as image",
            "EditImage",
            lambda world, make=make: edit(world.png, images=[make(world)]),  # type: ignore[misc]
            reason,
            f"images[0]{suffix}" if named else "",
        )
        yield Bad(
            f"{name} as second image",
            "EditImage",
            lambda world, make=make: edit(world.png, images=[_ref(world.png), make(world)]),  # type: ignore[misc]
            reason,
            f"images[1]{suffix}" if named else "",
        )
        yield Bad(
            f"{name} as mask",
            "EditImage",
            lambda world, make=make: edit(world.png, mask=make(world)),  # type: ignore[misc]
            reason,
            f"mask{suffix}" if named else "",
        )
        yield Bad(
            f"{name} as reference",
            "EditImage",
            lambda world, make=make: edit(world.png, reference_images=[make(world)]),  # type: ignore[misc]
            reason,
            f"reference_images[0]{suffix}" if named else "",
        )
        yield Bad(
            f"{name} as default model",
            "CreateDefaultModel",
            lambda world, make=make: pb.CreateDefaultModelRequest(user_id=USER, image=make(world)),  # type: ignore[misc]
            reason,
            f"image{suffix}" if named else "",
        )


HOSTILE_URLS = """
https://127.0.0.1/ https://127.1/ https://0/ https://0.0.0.0/ https://2130706433/ https://0x7f000001/
https://0x7f.1/ https://017700000001/ https://0177.0.0.1/ https://127.0.0.1./ https://localhost/
https://LOCALHOST./ https://[::1]/ https://[::]/ https://[::ffff:127.0.0.1]/ https://[::ffff:a9fe:a9fe]/
https://[::127.0.0.1]/ https://[64:ff9b::a9fe:a9fe]/ https://[64:ff9b:1::a9fe:a9fe]/
https://[2002:a9fe:a9fe::]/ https://[fe80::1%25eth0]/ https://[fec0::1]/ https://[fd00:ec2::254]/
https://169.254.169.254/latest/meta-data/ https://100.100.100.200/ https://192.0.0.192/opc/v2/
https://168.63.129.16/ https://metadata.google.internal/ https://instance-data/ https://169。254。169。254/
https://①②⑦.⓪.⓪.①/ https://good.example@127.0.0.1/ https://good.example:443@169.254.169.254/
https://127.0.0.1#@good.example/ https://good.example\\@127.0.0.1/ https://10.0.0.1/ https://8.8.8.8:22/
https://8.8.8.8:0/ https://8.8.8.8:99999/ http://8.8.8.8/ file:///etc/passwd gopher://127.0.0.1:6379/_INFO
ftp://8.8.8.8/ data:image/png;base64,AAAA //127.0.0.1/ https:///x javascript:1 https://a...b/
https://x%00.good.example/ https://good.example/%0d%0aHost:%20evil https://good.example:22/ http://good.example/
https://user:password@good.example/ https://router.lan/ https://x.localhost/ https:// x
"""
"""URLs that no server may be sent to (PROMISES §3), as far as that can be known without asking a resolver."""


def _urls() -> Iterator[Bad]:
    for url in (*HOSTILE_URLS.split(), "", " ", f"https://{'a' * 300}.com/"):
        source = image_pb2.ImageSource(url=url)
        yield Bad(
            f"url {url[:60]!r} of {len(url)}",
            "EditImage",
            lambda world, source=source: edit(world.png, images=[_ref(world.png), source]),  # type: ignore[misc]
            "URL_REFUSED",
            "images[1].url",
        )


def _pictures() -> Iterator[Bad]:
    """Bytes that are not the picture they should be; as an inline image and as an upload."""
    photo = PHOTO_FILE.read_bytes()
    undecodable = {
        "text": b"hello",
        "HTML": b"<!doctype html><html></html>",
        "one byte": b"\x89",
        "only a PNG signature": PNG[:8],
        "PNG cut in half": PNG[: len(PNG) // 2],
        "PNG without IEND": PNG[:-12],
        "PNG with a wrong checksum": PNG[:-20] + b"\0" + PNG[-19:],
        "animated PNG": PNG[:33] + chunk(b"acTL", bytes([0, 0, 0, 2, 0, 0, 0, 0])) + PNG[33:],
        "JPEG cut at 50 %": photo[: len(photo) // 2],
        "JPEG cut at 99 %": photo[: len(photo) * 99 // 100],
        "only a JPEG signature": JPEG[:3],
        "WebP cut short": WEBP[:-4],
        "GIF": picture(mode="P", name="GIF"),
        "BMP": picture(name="BMP"),
        "TIFF": picture(name="TIFF"),
        "PDF": b"%PDF-1.7\n%%EOF",
        "a page of zeros": bytes(4096),
        "a PNG of no pixels": bomb(0, 0),
    }
    too_large = {
        "1001 x 1000 pixels": picture(1001, 1000, mode="L"),
        "a bomb of 40000 x 40000": bomb(40_000, 40_000),
        "a bomb of 2^31-1 squared": bomb(2**31 - 1, 2**31 - 1),
        "too many bytes": noise(MAX_IMAGE_BYTES),
    }
    for reason, group in (("IMAGE_UNDECODABLE", undecodable), ("IMAGE_TOO_LARGE", too_large)):
        for name, data in group.items():
            source = image_pb2.ImageSource(content=data)
            yield Bad(
                f"{name} inline",
                "EditImage",
                lambda world, source=source: edit(world.png, images=[source]),  # type: ignore[misc]
                reason,
                "images[0].content",
            )
            yield Bad(
                f"{name} uploaded",
                "UploadImage",
                lambda world, data=data: [_info(), *_chunks(data)],  # type: ignore[misc]
                reason,
                "chunk",
            )
    masks = {
        "mask of another size": mask(9, 8),
        "mask turned by a quarter": mask(8, 9),
        "opaque mask": mask(alpha=255),
        "mask without alpha": PNG,
        "grey mask": picture(mode="L"),
        "JPEG mask": JPEG,
        "WebP mask without alpha": WEBP,
    }
    for name, data in masks.items():
        yield Bad(
            name,
            "EditImage",
            lambda world, data=data: edit(world.png, mask=image_pb2.ImageSource(content=data)),  # type: ignore[misc]
            "INVALID_FIELD",
            "mask",
        )
    yield Bad(
        "one sound image beside an unsound one",
        "EditImage",
        lambda world: edit(
            world.png,
            images=[
                image_pb2.ImageSource(content=picture(fill=1)),
                image_pb2.ImageSource(content=b"not a picture"),
            ],
        ),
        "IMAGE_UNDECODABLE",
        "images[1].content",
    )
    yield Bad(
        "sound inline image with a size that the model does not take",
        "EditImage",
        lambda world: edit(
            world.png,
            images=[image_pb2.ImageSource(content=picture(fill=2))],
            model="scripted/ok",
            size="7x7",
        ),
        "INVALID_FIELD",
        "size",
    )


def _model_edit() -> Iterator[Bad]:
    def row(name: str, field: str, reason: str = "INVALID_FIELD", **fields: object) -> Bad:
        return Bad(name, "CreateModelEdit", lambda world: model_edit(world, **fields), reason, field)

    yield row("no user_id", "user_id", user_id="")
    yield row("no base", "base_model_task_id", base_model_task_id="")
    yield row("no instructions", "edit_instructions", edit_instructions="")
    yield row("blank instructions", "edit_instructions", edit_instructions="  ")
    yield row("instructions with NUL", "edit_instructions", edit_instructions="a\0")
    yield row("long instructions", "edit_instructions", edit_instructions="x" * 32_001)
    yield row("size that is no ratio", "size", size="1024x1024")
    yield row("ratio that is not offered", "size", size="7:5")
    yield row("size auto", "size", size="auto ")
    yield row("model of another kind", "model", model="narrow/edit")
    yield row("model that is not there", "model", "UNKNOWN_MODEL", model="nobody")
    yield row("unknown base", "", "TASK_NOT_FOUND", base_model_task_id=UNKNOWN_TASK)
    yield row("malformed base", "", "TASK_NOT_FOUND", base_model_task_id="task_\0")
    yield row("base of 1 MB", "", "TASK_NOT_FOUND", base_model_task_id="t" * 1_000_000)
    yield row("base made elsewhere", "", "BASE_MODEL_ELSEWHERE", **NARROW_EDIT)
    for state in ("unfinished", "failed", "cancelled"):
        yield Bad(
            f"{state} base",
            "CreateModelEdit",
            lambda world, state=state: model_edit(world, base_model_task_id=getattr(world, state)),  # type: ignore[misc]
            "BASE_MODEL_NOT_READY",
        )


NARROW_EDIT: dict[str, object] = {"model": "narrow/own-bases"}


def model_edit(world: World, **fields: object) -> pb.CreateModelEditRequest:
    """A model edit with everything it needs."""
    given: dict[str, object] = {
        "user_id": USER,
        "base_model_task_id": world.finished,
        "edit_instructions": "short hair",
        **fields,
    }
    return pb.CreateModelEditRequest(**given)  # type: ignore[arg-type]


def _default_model() -> Iterator[Bad]:
    profile = task_pb2.BodyProfile

    def row(name: str, field: str, reason: str = "INVALID_FIELD", **fields: object) -> Bad:
        return Bad(name, "CreateDefaultModel", lambda world: default_model(world, **fields), reason, field)

    yield row("no user_id", "user_id", user_id="")
    yield Bad(
        "no image",
        "CreateDefaultModel",
        lambda world: pb.CreateDefaultModelRequest(user_id=USER),
        "INVALID_FIELD",
        "image",
    )
    yield row("unknown angle", "angle", angle="above")
    yield row("angle in capitals", "angle", angle="FRONT")
    yield row("angle with NUL", "angle", angle="front\0")
    yield row("size without a model", "size", size="4:3")
    yield row("size that is no ratio", "size", size="4:3x", model="narrow/own-bases")
    yield row("model of another kind", "model", model="scripted/ok")
    yield row("model that is not there", "model", "UNKNOWN_MODEL", model="nobody")
    yield row("unknown gender", "body_profile.gender", body_profile=profile(gender="x"))
    yield row("gender with NUL", "body_profile.gender", body_profile=profile(gender="男\0"))
    yield row("skin_color with NUL", "body_profile.skin_color", body_profile=profile(skin_color="a\0"))
    yield row("long body_type", "body_profile.body_type", body_profile=profile(body_type="x" * 65))
    yield row("age of 151", "body_profile.age", body_profile=profile(age=151))
    yield row("age of -1", "body_profile.age", body_profile=profile(age=-1))
    for field, most in (("height_cm", 300), ("weight_kg", 500)):
        for value in (most + 0.5, -1.0, float("nan"), float("inf"), float("-inf"), 1e308):
            yield row(f"{field} of {value}", f"body_profile.{field}", body_profile=profile(**{field: value}))  # type: ignore[arg-type]


def default_model(world: World, **fields: object) -> pb.CreateDefaultModelRequest:
    """A default model with everything it needs."""
    given: dict[str, object] = {"user_id": USER, "image": _ref(world.png), **fields}
    return pb.CreateDefaultModelRequest(**given)  # type: ignore[arg-type]


CREATES: dict[str, Callable[..., Message]] = {
    "EditImage": lambda world, **fields: edit(world.png, **fields),
    "CreateModelEdit": model_edit,
    "CreateDefaultModel": default_model,
}


def _common() -> Iterator[Bad]:
    """The fields that all creates have."""
    for method, make in CREATES.items():

        def row(
            name: str, field: str, make: Callable[..., Message] = make, method: str = method, **fields: object
        ) -> Bad:
            return Bad(name, method, lambda world: make(world, **fields), "INVALID_FIELD", field)

        for name, duration in {
            "no time": Duration(),
            "less than a second": Duration(nanos=999_999_000),
            "more than a day": Duration(seconds=86_400, nanos=1_000),
            "a negative time": Duration(seconds=-1),
            "the largest time": Duration(seconds=MAX_INT64),
            "the largest time and more": Duration(seconds=MAX_INT64, nanos=2**31 - 1),
            "the smallest time": Duration(seconds=-(2**63), nanos=-(2**31)),
            "seconds that only nanos take away": Duration(seconds=2, nanos=-(2**31)),
        }.items():
            yield row(f"timeout of {name}", "timeout", timeout=duration)
        yield row("17 labels", "labels", labels={f"key{number}": "" for number in range(17)})
        yield row("5000 long labels", "labels", labels={f"{number:064}": "v" * 257 for number in range(5000)})
        yield row("empty label key", "labels", labels={"": "x"})
        yield row("label key of 64 bytes", "labels", labels={"k" * 64: "x"})
        yield row("label key of 22 wide characters", "labels", labels={"键" * 22: "x"})
        yield row("label value of 257 bytes", "labels", labels={"k": "v" * 257})
        yield row("label value of 86 wide characters", "labels", labels={"k": "值" * 86})
        yield row("unknown on_unknown", "on_unknown", on_unknown=3)
        yield row("negative on_unknown", "on_unknown", on_unknown=-1)
        yield row("long request_id", "request_id", request_id="r" * 129)
        yield row("long user_id", "user_id", user_id="u" * 65)
        yield row("long model", "model", model="m" * 129)
        yield row("validated only, still wrong", "user_id", user_id="u" * 65, validate_only=True)


MALFORMED_TASKS = (
    "",
    "x",
    "task_",
    UNKNOWN_TASK,
    UNKNOWN_TASK.upper(),
    UNKNOWN_TASK + "0",
    UNKNOWN_TASK + "\n",
    f" {UNKNOWN_TASK}",
    f"task_{'０' * 32}",
    "task_' OR 1=1 --",
    "\0",
    "../../etc/passwd",
    "%00",
    "t" * 1_000_000,
)
MALFORMED_IMAGES = (
    "",
    "x",
    "sha256:",
    UNKNOWN_IMAGE[:-1],
    UNKNOWN_IMAGE[:19],
    UNKNOWN_IMAGE + "00",
    UNKNOWN_IMAGE.upper(),
    UNKNOWN_IMAGE + "\n",
    f"sha256:{'../' * 21}a",
    f"sha512:{0:064x}",
    "\0",
    "i" * 1_000_000,
)


def _ids() -> Iterator[Bad]:
    for task_id in MALFORMED_TASKS:
        for method, message in {
            "GetTask": pb.GetTaskRequest(task_id=task_id),
            "CancelTask": pb.CancelTaskRequest(task_id=task_id),
            "DeleteTask": pb.DeleteTaskRequest(task_id=task_id),
            "WatchTask": pb.WatchTaskRequest(task_id=task_id),
        }.items():
            yield Bad(
                f"task {task_id[:40]!r} of {len(task_id)}",
                method,
                _always(message),
                "TASK_NOT_FOUND",
            )
    for method, request in (
        ("DownloadImage", pb.DownloadImageRequest),
        ("DeleteImage", pb.DeleteImageRequest),
    ):
        yield Bad("an unknown image", method, _always(request(image_id=UNKNOWN_IMAGE)), "IMAGE_NOT_FOUND")
    for image_id in MALFORMED_IMAGES:
        for method, message in {
            "DownloadImage": pb.DownloadImageRequest(image_id=image_id),
            "DeleteImage": pb.DeleteImageRequest(image_id=image_id),
        }.items():
            yield Bad(
                f"image {image_id[:40]!r} of {len(image_id)}",
                method,
                _always(message),
                "INVALID_FIELD",
                "image_id",
            )
    yield Bad(
        "a task that goes on",
        "DeleteTask",
        lambda world: pb.DeleteTaskRequest(task_id=world.unfinished),
        "TASK_NOT_FINISHED",
    )
    yield Bad(
        "an image that a task needs",
        "DeleteImage",
        lambda world: pb.DeleteImageRequest(image_id=world.png),
        "IMAGE_IN_USE",
    )
    for task in ("finished", "unfinished"):
        for name, seq in {"-1": -1, "2^63-1": MAX_INT64, "-2^63": -(2**63)}.items():
            yield Bad(
                f"after_seq {name} of a task that is {task}",
                "WatchTask",
                lambda world, task=task, seq=seq: pb.WatchTaskRequest(  # type: ignore[misc]
                    task_id=getattr(world, task), after_seq=seq
                ),
                "SEQ_OUT_OF_RANGE",
            )
    yield Bad(
        "after_seq one beyond the last",
        "WatchTask",
        lambda world: pb.WatchTaskRequest(task_id=world.finished, after_seq=world.last_seq + 1),
        "SEQ_OUT_OF_RANGE",
    )
    for name, offset in {
        "-1": -1,
        "one beyond": len(PNG) + 1,
        "2^63-1": MAX_INT64,
        "-2^63": -(2**63),
    }.items():
        yield Bad(
            f"offset {name}",
            "DownloadImage",
            lambda world, offset=offset: pb.DownloadImageRequest(image_id=world.png, offset=offset),  # type: ignore[misc]
            "OFFSET_OUT_OF_RANGE",
        )


def _lists() -> Iterator[Bad]:
    def row(name: str, field: str, **fields: object) -> Bad:
        request = pb.ListTasksRequest(**fields)  # type: ignore[arg-type]
        return Bad(name, "ListTasks", lambda world: request, "INVALID_FIELD", field)

    yield row("negative page_size", "page_size", page_size=-1)
    yield row("smallest page_size", "page_size", page_size=-(2**31))
    for token in (
        "x",
        "MQ",
        "MQ===",
        "MQ==\n",
        "MA==",  # 0
        "LTE=",  # -1
        "KzE=",  # +1
        "IDE=",  # a blank and 1
        "MV8w",  # 1_0
        "MDE=",  # 01
        "MS4w",  # 1.0
        "OTIyMzM3MjAzNjg1NDc3NTgwOA==",  # 2^63
        "2aE=",  # an Arabic 1
        "____",
        "\0",
        "令牌",
        "MQ==" * 100_000,
        "OTk5" * 100_000,
    ):
        yield row(f"page_token {token[:30]!r} of {len(token)}", "page_token", page_token=token)
    yield row("states with UNSPECIFIED", "states[0]", states=[0])
    yield row("states with 6", "states[1]", states=[task_pb2.Task.STATE_QUEUED, 6])
    yield row("states with -1", "states[0]", states=[-1])
    yield row("user_id with NUL", "user_id", user_id="a\0b")
    yield row("long user_id", "user_id", user_id="u" * 65)


def _uploads() -> Iterator[Bad]:
    def row(name: str, messages: Sequence[Message | bytes], reason: str, field: str = "") -> Bad:
        return Bad(name, "UploadImage", lambda world: messages, reason, field)

    chunk = pb.UploadImageRequest(chunk=PNG)
    yield row("nothing at all", [], "MALFORMED_REQUEST")
    yield row("no info", [chunk], "MALFORMED_REQUEST")
    yield row("neither info nor chunk first", [pb.UploadImageRequest(), chunk], "MALFORMED_REQUEST")
    yield row("info twice", [_info(), _info(), chunk], "MALFORMED_REQUEST")
    yield row("info after the bytes", [_info(), chunk, _info()], "MALFORMED_REQUEST")
    yield row("neither info nor chunk later", [_info(), chunk, pb.UploadImageRequest()], "MALFORMED_REQUEST")
    yield row("only info", [_info()], "IMAGE_UNDECODABLE", "chunk")
    yield row(
        "only empty chunks",
        [_info(), *[pb.UploadImageRequest(chunk=b"")] * 100],
        "IMAGE_UNDECODABLE",
        "chunk",
    )
    yield row(
        "a chunk above 1 MiB",
        [_info(), pb.UploadImageRequest(chunk=bytes(MIB + 1))],
        "INVALID_FIELD",
        "chunk",
    )
    yield row("malformed after sound bytes", [_info(), chunk, b"\xff"], "MALFORMED_REQUEST")
    yield row(
        "chunks out of order",
        [_info(), *reversed([pb.UploadImageRequest(chunk=PNG[i : i + 20]) for i in range(0, len(PNG), 20)])],
        "IMAGE_UNDECODABLE",
        "chunk",
    )
    for name, sha256 in {
        "of other bytes": "0" * 64,
        "of 63 digits": "0" * 63,
        "of 65 digits": "0" * 65,
        "not in hex": "g" * 64,
        "with NUL": "\0" * 64,
        "in wide digits": "０" * 64,
        "as base64": "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    }.items():
        yield row(f"sha256 {name}", [_info(sha256), chunk], "INVALID_FIELD", "info.sha256")


def _always(requests: Requests) -> Callable[[World], Requests]:
    return lambda world: requests


def _info(sha256: str = "") -> pb.UploadImageRequest:
    return pb.UploadImageRequest(info=image_pb2.UploadImageInfo(sha256=sha256))


def _chunks(data: bytes) -> list[pb.UploadImageRequest]:
    step = MIB // 4
    return [pb.UploadImageRequest(chunk=data[start : start + step]) for start in range(0, len(data), step)]


def _ref(image_id: str) -> image_pb2.ImageSource:
    return image_pb2.ImageSource(image_id=image_id)


def _enum(message: Message, **values: int) -> Message:
    """Set enum fields to numbers that have no name, which the constructor takes only on open enums."""
    for name, value in values.items():
        setattr(message, name, value)
    return message
