"""The command line: what it sends, what it prints where, and its exit codes."""

import hashlib
import json
from pathlib import Path
from typing import Any

import grpc
import pytest
from typer.testing import CliRunner

from imageedit.v1 import image_edit_service_pb2 as service_pb2
from imageedit.v1 import image_pb2, task_pb2
from imageedit_client.cli.app import app

CONTENT = b"an edited picture"
IMAGE = image_pb2.Image(
    image_id=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}",
    media_type="image/png",
    width=64,
    height=48,
    size_bytes=len(CONTENT),
)
TASK_ID = "task_" + "0" * 32


def unboxed(text):
    """What a usage error says, without the box that typer draws around it."""
    return " ".join(text.replace("│", " ").split())


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Each test works in a folder of its own, with a photo in it."""
    monkeypatch.chdir(tmp_path)
    for name in ("IMAGEEDIT_ADDRESS", "IMAGEEDIT_API_KEY", "IMAGEEDIT_CA_FILE"):
        monkeypatch.delenv(name, raising=False)
    Path("photo.jpg").write_bytes(b"a photo")
    return tmp_path


@pytest.fixture
def imageedit(server):
    """Runs the command against the scripted server."""
    return lambda *words, **env: CliRunner().invoke(app, ["--address", server.address, *words], env=env)


@pytest.fixture
def edited(server, say):
    """Scripts one whole edit that ends as told."""

    def script(state="SUCCEEDED", images=(IMAGE,), **task):
        final = say.event(
            3, state, images=images, progress_percent=100 if state == "SUCCEEDED" else 40, **task
        )
        server.on("UploadImage", *[service_pb2.UploadImageResponse(image=IMAGE)] * 4)
        for method in ("EditImage", "CreateModelEdit", "CreateDefaultModel"):
            response = getattr(service_pb2, f"{method}Response")
            server.on(method, response(task=say.task("QUEUED", model="local/basic", size="auto")))
        server.on("WatchTask", [say.event(1, "QUEUED"), say.event(2, progress_percent=40), final])
        server.on("DownloadImage", *[[say.info(IMAGE), say.chunk(CONTENT)]] * len(images))

    return script


def test_edit_saves_the_result_and_prints_its_path_alone(imageedit, edited):
    """stdout is the path; the task, its events and its warnings are on stderr, one a line."""
    edited(warnings=["The size was adapted."])
    result = imageedit("edit", "photo.jpg", "warmer")
    assert (result.exit_code, result.stdout) == (0, "photo-edited.png\n")
    assert Path("photo-edited.png").read_bytes() == CONTENT
    said = [line.split(maxsplit=1)[1] for line in result.stderr.splitlines()]
    assert said[0] == TASK_ID
    assert [" ".join(line.split()) for line in said[1:4]] == [
        "1 0% queued",
        "2 40% running",
        "3 100% succeeded",
    ]
    assert said[4] == "The size was adapted."


def test_edit_sends_all_that_was_said(imageedit, edited, server):
    """Each option has its field."""
    edited()
    Path("mask.png").write_bytes(b"mask")
    words = (
        "--mask mask.png --size 4:3 -n 1 -m gpt-image-2 --openai quality=high --openai output_compression=80"
    )
    words += " --label team=shop --user ann --request-id key --timeout 90 --on-unknown resubmit"
    words += f" --image sha256:aa --reference https://example.com/a.png --reference {TASK_ID}/1"
    assert imageedit("edit", "photo.jpg", "更暖一些", *words.split()).exit_code == 0
    assert server.received["EditImage"] == [
        service_pb2.EditImageRequest(
            request_id="key",
            user_id="ann",
            model="gpt-image-2",
            prompt="更暖一些",
            images=[{"image_id": IMAGE.image_id}, {"image_id": "sha256:aa"}],
            mask={"image_id": IMAGE.image_id},
            reference_images=[
                {"url": "https://example.com/a.png"},
                {"task_output": {"task_id": TASK_ID, "index": 1}},
            ],
            n=1,
            size="4:3",
            timeout={"seconds": 90},
            labels={"team": "shop"},
            on_unknown=service_pb2.ON_UNKNOWN_RESUBMIT,
            openai={"quality": "high", "output_compression": 80},
        )
    ]


def test_enum_and_truth_options_are_said_in_plain_words(imageedit, edited, server):
    """HIGH for QUALITY_HIGH, yes for true."""
    edited()
    imageedit("edit", "photo.jpg", "x", "--ideogram", "style=fiction", "--ideogram", "expand_prompt=no")
    wanted = service_pb2.IdeogramOptions(style=service_pb2.IdeogramOptions.STYLE_FICTION, expand_prompt=False)
    assert server.received["EditImage"][0].ideogram == wanted


@pytest.mark.parametrize(
    ("words", "paths"),
    [
        ([], ["photo-edited-1.png", "photo-edited-2.png"]),
        (["-o", "out.png"], ["out-1.png", "out-2.png"]),
        (["-o", "results/"], ["results/photo-edited-1.png", "results/photo-edited-2.png"]),
    ],
)
def test_several_results_are_numbered(imageedit, edited, words, paths):
    """In the order of the task, in a folder or beside the name that was given."""
    edited(images=(IMAGE, IMAGE))
    result = imageedit("edit", "photo.jpg", "x", "-n", "2", *words)
    assert result.stdout.splitlines() == paths
    assert all(Path(path).read_bytes() == CONTENT for path in paths)


def test_a_file_that_is_there_survives_by_default(imageedit, edited):
    """Without -o the next free name is taken."""
    edited()
    Path("photo-edited.png").write_bytes(b"yesterday's")
    assert imageedit("edit", "photo.jpg", "x").stdout == "photo-edited-2.png\n"
    assert Path("photo-edited.png").read_bytes() == b"yesterday's"


def test_an_input_is_never_overwritten(imageedit, server):
    """Refused as a usage error before anything is sent, also by another name of the file."""
    result = imageedit("edit", "photo.jpg", "x", "-o", "./../" + Path.cwd().name + "/photo.jpg")
    assert result.exit_code == 2
    assert "is an input" in unboxed(result.stderr)
    assert server.metadata == []


def test_a_name_that_lies_about_the_bytes_is_pointed_out(imageedit, edited):
    """The file gets the name that was asked for."""
    edited()
    result = imageedit("edit", "photo.jpg", "x", "-o", "out.webp")
    assert result.stdout == "out.webp\n"
    assert "out.webp holds image/png" in result.stderr


@pytest.mark.parametrize(
    ("state", "task", "words"),
    [
        (
            "FAILED",
            {
                "error": {"reason": "CONTENT_REFUSED", "message": "The vendor refused the picture."},
                "billing": "BILLING_NOT_CHARGED",
            },
            ["failed", "The vendor refused the picture", "CONTENT_REFUSED", "not charged"],
        ),
        (
            "FAILED",
            {
                "error": {
                    "reason": "SUBMIT_OUTCOME_UNKNOWN",
                    "message": "It may have taken it.",
                    "provider_code": "502",
                    "provider_message": "Upstream is away",
                }
            },
            ["the vendor said: Upstream is away [502]", "SUBMIT_OUTCOME_UNKNOWN"],
        ),
        ("CANCELLED", {"billing": "BILLING_MAY_HAVE_BEEN_CHARGED"}, ["cancelled", "may have been charged"]),
    ],
)
def test_a_task_that_did_not_succeed_is_exit_code_1(imageedit, edited, state, task, words):
    """One sentence says why and who pays; nothing is saved."""
    edited(state, images=(), **task)
    result = imageedit("edit", "photo.jpg", "x")
    assert (result.exit_code, result.stdout) == (1, "")
    assert all(word in result.stderr.splitlines()[-1] for word in words)


def test_json_is_one_task_on_one_line(imageedit, edited):
    """The proto's own JSON, also for the words after the command; paths move to stderr."""
    edited()
    result = imageedit("edit", "photo.jpg", "更暖", "--json")
    (line,) = result.stdout.splitlines()
    assert json.loads(line)["state"] == "STATE_SUCCEEDED"
    assert json.loads(line)["images"][0]["imageId"] == IMAGE.image_id
    assert "photo-edited.png" in result.stderr


def test_detach_prints_the_id_and_leaves(imageedit, edited, server):
    """Nothing is followed or saved."""
    edited()
    assert imageedit("edit", "photo.jpg", "x", "--detach").stdout == f"{TASK_ID}\n"
    assert server.received["WatchTask"] == []


def test_validate_only_says_what_would_happen(imageedit, server):
    """There is no task to follow."""
    server.on("UploadImage", service_pb2.UploadImageResponse(image=IMAGE))
    server.on("EditImage", service_pb2.EditImageResponse(task={"model": "local/basic", "size": "64x48"}))
    result = imageedit("edit", "photo.jpg", "x", "--validate-only")
    assert (result.exit_code, result.stdout) == (0, "valid: local/basic, size 64x48\n")
    assert server.received["EditImage"][0].validate_only


def test_model_edit_follows_and_saves(imageedit, edited, server):
    """The user is the login name unless one is given, since the service wants one."""
    edited()
    result = imageedit("model-edit", TASK_ID, "将发型改为短发", "--size", "3:4", LOGNAME="ann")
    assert (result.exit_code, result.stdout) == (0, f"{TASK_ID}-edited.png\n")
    (request,) = server.received["CreateModelEdit"]
    assert (request.base_model_task_id, request.edit_instructions) == (TASK_ID, "将发型改为短发")
    assert (request.user_id, request.size) == ("ann", "3:4")


def test_default_model_prints_the_task_id_that_model_edit_takes(imageedit, edited, server):
    """Without a model the result is the photo itself, so nothing is saved."""
    edited()
    words = "--angle side --profile gender=女 --profile height_cm=170.5 --profile age=30 --user bob"
    result = imageedit("default-model", "photo.jpg", *words.split())
    assert (result.exit_code, result.stdout) == (0, f"{TASK_ID}\n")
    (request,) = server.received["CreateDefaultModel"]
    assert (request.angle, request.user_id) == ("side", "bob")
    assert request.body_profile == task_pb2.BodyProfile(gender="女", height_cm=170.5, age=30)
    assert server.received["DownloadImage"] == []


def test_default_model_saves_what_a_model_made(imageedit, edited):
    """A generated picture is a result like any other."""
    edited()
    result = imageedit("default-model", "photo.jpg", "--model", "suitme/model-edit")
    assert result.stdout == "photo-model.png\n"


USAGE = [
    (["edit", "missing.jpg", "x"], "missing.jpg"),
    (["edit", "photo.jpg"], "PROMPT"),
    (["edit", "photo.jpg", "x", "--openai", "quality"], "KEY=VALUE"),
    (["edit", "photo.jpg", "x", "--openai", "colour=red"], "quality, background"),
    (["edit", "photo.jpg", "x", "--openai", "partial_images=few"], "a number"),
    (["edit", "photo.jpg", "x", "--seedream", "quality=best"], "BASIC or HIGH"),
    (["edit", "photo.jpg", "x", "--ideogram", "expand_prompt=maybe"], "true or false"),
    (["edit", "photo.jpg", "x", "--openai", "quality=low", "--seedream", "quality=high"], "one family"),
    (["edit", "photo.jpg", "x", "-o", "nowhere/out.png"], "nowhere"),
    (["edit", "photo.jpg", "x", "--api-key-file", "missing.key"], "missing.key"),
    (["upload", "missing.jpg"], "missing.jpg"),
    (["list", "--state", "lost"], "queued"),
    (["fly"], "fly"),
]


@pytest.mark.parametrize(("words", "named"), USAGE, ids=[" ".join(words) for words, _ in USAGE])
def test_wrong_usage_is_exit_code_2_and_names_the_fault(imageedit, server, words, named):
    """Found before anything is sent."""
    result = imageedit(*words)
    assert result.exit_code == 2
    assert named in unboxed(result.stderr)
    assert server.metadata == []


REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"code": "INVALID_ARGUMENT", "fields": {"model": "Unknown."}}, "refused: model: Unknown"),
    ({"code": "NOT_FOUND", "reason": "TASK_NOT_FOUND"}, "the script (TASK_NOT_FOUND); `imageedit list`"),
    ({"code": "INVALID_ARGUMENT", "reason": "UNKNOWN_MODEL"}, "(UNKNOWN_MODEL); `imageedit models` shows"),
    ({"code": "UNAUTHENTICATED", "reason": "CREDENTIALS_INVALID"}, "give another key by --api-key-file"),
    ({"code": "UNAUTHENTICATED", "reason": "CREDENTIALS_MISSING"}, "--api-key-file or IMAGEEDIT_API_KEY"),
    ({"code": "INTERNAL", "reason": "INTERNAL_ERROR"}, "the server failed"),
]


@pytest.mark.parametrize(("refusal", "words"), REFUSALS)
def test_a_refusal_is_exit_code_4_and_one_sentence(imageedit, server, say, refusal, words):
    """It names the field and what mends it; there is no traceback."""
    server.on("GetTask", say.Refusal(**{**refusal, "code": grpc.StatusCode[refusal["code"]]}))
    result = imageedit("get", TASK_ID)
    assert (result.exit_code, result.stdout) == (4, "")
    (line,) = result.stderr.splitlines()
    assert words in line


def test_a_server_out_of_reach_is_exit_code_3(imageedit, server):
    """The address and the reason, without gRPC's nesting."""
    server.stop()
    result = imageedit("get", TASK_ID, "--patience", "2")
    assert result.exit_code == 3
    told = f"imageedit: could not reach {server.address}: "
    late = f"{told}Deadline Exceeded"  # of the last try, which a slow machine does not finish
    last = result.stderr.splitlines()[-1]
    assert last.startswith(f"{told}connection refused; start a server") or last == late


def test_a_server_that_does_not_answer_is_exit_code_3(imageedit, server, say):
    """It took the call and says nothing."""
    server.on("GetTask", say.Hang())
    result = imageedit("get", TASK_ID, "--patience", "0.1")
    assert result.exit_code == 3
    assert f"could not reach {server.address}: Deadline Exceeded" in result.stderr


def test_a_server_that_stays_busy_is_exit_code_3(imageedit, server, say):
    """Reached, but of no use now."""
    server.on("GetTask", say.Refusal(reason="STORE_BUSY", retry_seconds=1000))
    result = imageedit("get", TASK_ID, "--patience", "60")
    assert result.exit_code == 3
    assert "cannot serve now" in result.stderr
    assert "STORE_BUSY" in result.stderr


def test_watch_prints_every_event_on_stdout(imageedit, edited):
    """One line an event; with --json one TaskEvent a line."""
    edited()
    lines = [line.split() for line in imageedit("watch", TASK_ID).stdout.splitlines()]
    assert [line[1:] for line in lines] == [
        ["1", "0%", "queued"],
        ["2", "40%", "running"],
        ["3", "100%", "succeeded"],
    ]
    edited()
    events = [json.loads(line) for line in imageedit("watch", TASK_ID, "--json").stdout.splitlines()]
    assert [event["seq"] for event in events] == ["1", "2", "3"]


def test_watch_from_the_end_answers_by_the_task(imageedit, server, say):
    """Nothing is left to print, but the exit code still tells how it ended."""
    server.on("WatchTask", [])
    server.on("GetTask", service_pb2.GetTaskResponse(task=say.task("FAILED")))
    assert imageedit("watch", TASK_ID, "--after", "3").exit_code == 1


def test_get_and_cancel_say_where_the_task_stands(imageedit, server, say):
    """Facts a line; cancel says who pays."""
    task = say.task("CANCELLED", prompt="warmer", billing="BILLING_MAY_HAVE_BEEN_CHARGED", images=[IMAGE])
    server.on("GetTask", service_pb2.GetTaskResponse(task=task))
    server.on("CancelTask", service_pb2.CancelTaskResponse(task=task))
    shown = imageedit("get", TASK_ID).stdout
    for fact in (TASK_ID, "cancelled", "warmer", "may have been charged", IMAGE.image_id, "64x48"):
        assert fact in shown
    result = imageedit("cancel", TASK_ID)
    assert (result.exit_code, result.stdout) == (0, "the task cancelled; may have been charged\n")


def test_delete_erases_what_is_named(imageedit, server, say):
    """Says nothing when all went well, and stops at what is refused."""
    server.on("DeleteTask", service_pb2.DeleteTaskResponse(), service_pb2.DeleteTaskResponse())
    server.on("DeleteImage", service_pb2.DeleteImageResponse())
    done = imageedit("delete", TASK_ID, "task_2"), imageedit("delete-image", IMAGE.image_id)
    assert [(result.exit_code, result.stdout) for result in done] == [(0, "")] * 2
    assert [request.task_id for request in server.received["DeleteTask"]] == [TASK_ID, "task_2"]
    assert server.received["DeleteImage"][0].image_id == IMAGE.image_id
    refusal = say.Refusal(code=grpc.StatusCode.FAILED_PRECONDITION, reason="TASK_NOT_FINISHED")
    server.on("DeleteTask", refusal)
    refused = imageedit("delete", TASK_ID)
    assert (refused.exit_code, "TASK_NOT_FINISHED" in refused.stderr) == (4, True)


def test_get_shows_what_the_vendor_answered_and_used(imageedit, server, say):
    """Of each attempt that has something to show."""
    answer = {"status": 200, "media_type": "text/html", "size_bytes": 512, "kept": True}
    attempts = [
        {"number": 1, "provider": "one"},
        {"number": 2, "provider": "two", "answer": answer, "usage": {"credits": "0.04", "a_tokens": "9"}},
    ]
    server.on("GetTask", service_pb2.GetTaskResponse(task=say.task("FAILED", attempts=attempts)))
    lines = imageedit("get", TASK_ID).stdout.splitlines()
    assert lines[-2:] == [
        "answer    200 text/html 512 bytes from two; nobody could read it, it is kept",
        "usage     a_tokens=9 credits=0.04",
    ]
    assert not any(line.startswith("answer") for line in lines[:-2])


def test_list_prints_a_task_a_line(imageedit, server, say):
    """In aligned columns under their heads, with nothing cut; the limit holds across pages."""
    pages = [
        service_pb2.ListTasksResponse(
            tasks=[say.task("FAILED", prompt="a\n\x1b[31mb " * 50)] * 2, next_page_token="two"
        ),
        service_pb2.ListTasksResponse(tasks=[say.task("QUEUED")] * 2),
    ]
    server.on("ListTasks", *pages)
    result = imageedit("list", "--state", "failed", "--state", "queued", "--user", "ann", "--limit", "3")
    heads, *rows = result.stdout.splitlines()
    assert heads.split() == ["TASK", "STATE", "CREATED", "PROMPT"]
    assert [row.split()[:2] for row in rows] == [[TASK_ID, each] for each in ("failed", "failed", "queued")]
    assert {row.index(row.split()[1]) for row in rows} == {heads.index("STATE")}
    assert rows[0][heads.index("PROMPT") :] == " ".join(["a [31mb"] * 50)
    request = server.received["ListTasks"][0]
    assert (request.user_id, request.page_size) == ("ann", 3)
    assert list(request.states) == [task_pb2.Task.STATE_FAILED, task_pb2.Task.STATE_QUEUED]


def test_models_prints_names_and_limits(imageedit, server):
    """One model a line under the heads, or the proto's JSON."""
    model = {
        "name": "local/basic",
        "provider": "local",
        "kinds": ["KIND_EDIT_IMAGE"],
        "sizes": ["auto", "WxH"],
        "submit_safety": "SUBMIT_SAFETY_NATIVE_KEY",
        "shutdown_date": "2027-01-31",
    }
    server.on("ListModels", *[service_pb2.ListModelsResponse(models=[model])] * 2)
    heads, row = imageedit("models").stdout.splitlines()
    first = ["MODEL", "PROVIDER", "FOR", "IMAGES", "MASK", "RESULTS", "OPTIONS"]
    assert heads.split() == [*first, "IF", "UNKNOWN", "ENDS", "SIZES"]
    assert row[heads.index("IF") : heads.index("SIZES")].split() == ["native-key", "2027-01-31"]
    assert row.split()[:3] == ["local/basic", "local", "edit"]
    assert row[heads.index("SIZES") :] == "auto WxH"
    assert json.loads(imageedit("models", "--json").stdout)["kinds"] == ["KIND_EDIT_IMAGE"]


def test_upload_prints_the_image_id(imageedit, server):
    """Several files, one line each."""
    server.on("UploadImage", *[service_pb2.UploadImageResponse(image=IMAGE)] * 2)
    assert imageedit("upload", "photo.jpg", "photo.jpg").stdout == f"{IMAGE.image_id}\n" * 2


def test_download_saves_an_image(imageedit, server, say):
    """Named by its id unless -o names it."""
    server.on("DownloadImage", *[[say.info(IMAGE), say.chunk(CONTENT)]] * 2)
    name = f"{IMAGE.image_id[7:19]}.png"
    assert imageedit("download", IMAGE.image_id).stdout == f"{name}\n"
    assert imageedit("download", IMAGE.image_id, "-o", "mine.png").stdout == "mine.png\n"
    assert Path(name).read_bytes() == Path("mine.png").read_bytes() == CONTENT


def test_download_saves_the_results_of_a_task(imageedit, server, say):
    """What an interrupted edit left behind can be fetched by the task's id."""
    task = say.task("SUCCEEDED", images=[IMAGE])
    server.on("GetTask", service_pb2.GetTaskResponse(task=task))
    server.on("DownloadImage", [say.info(IMAGE), say.chunk(CONTENT)])
    assert imageedit("download", TASK_ID, "-o", "done/").stdout == f"done/{TASK_ID}.png\n"


def test_results_that_could_not_be_saved_can_still_be_fetched(imageedit, edited, server, say):
    """The paid result is not lost: the last words say how to get it."""
    edited()
    server.forget("DownloadImage")
    server.on("DownloadImage", [say.Refusal(code=grpc.StatusCode.DATA_LOSS, reason="IMAGE_CORRUPT")])
    result = imageedit("edit", "photo.jpg", "x")
    assert result.exit_code == 4
    assert f"imageedit --address {server.address} download {TASK_ID}" in result.stderr


def test_the_environment_says_where_and_who(server, say):
    """IMAGEEDIT_ADDRESS and IMAGEEDIT_API_KEY; the option after the command wins over all."""
    server.on("GetTask", *[service_pb2.GetTaskResponse(task=say.task())] * 2)
    env = {"IMAGEEDIT_ADDRESS": server.address, "IMAGEEDIT_API_KEY": "k3y"}
    assert CliRunner().invoke(app, ["get", TASK_ID], env=env).exit_code == 0
    assert server.metadata[0]["authorization"] == "Bearer k3y"
    Path("key").write_text("fil3\n")
    words = ["--address", "127.0.0.1:1", "get", TASK_ID, "--address", server.address, "--api-key-file", "key"]
    assert CliRunner().invoke(app, words, env=env | {"IMAGEEDIT_ADDRESS": "127.0.0.1:2"}).exit_code == 0
    assert server.metadata[1]["authorization"] == "Bearer fil3"


def test_a_key_file_of_windows_is_a_key_file(server, say):
    """With a mark at its beginning and its own line end."""
    server.on("GetTask", service_pb2.GetTaskResponse(task=say.task()))
    Path("key").write_bytes(b"\xef\xbb\xbffil3\r\n")
    words = ["--address", server.address, "--api-key-file", "key", "get", TASK_ID]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert server.metadata[0]["authorization"] == "Bearer fil3"


def test_there_is_no_option_for_the_key_itself():
    """Arguments are seen by every user of the machine."""
    assert CliRunner().invoke(app, ["--api-key", "k3y", "list"]).exit_code == 2
