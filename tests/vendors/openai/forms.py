"""Every form in which a success has been seen to come, with one picture in it: label, wrapping, spelling.

A form is a function of the picture's bytes and of a URL where they can be fetched. It gives the body and the
header fields that say otherwise than ``application/json``.
"""

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.vendors.openai.behaviours import event_of

JSON_TYPE = "application/json"
STREAM_TYPE = "text/event-stream"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """A body as it goes over the wire, with what its head says of it."""

    body: bytes
    media_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)


Form = Callable[[bytes, str], Sent]


def b64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def whole(content: bytes, **more: Any) -> bytes:
    """OpenAI's own form."""
    return written({"created": 1, "data": [{"b64_json": b64(content)}], **more})


def written(value: Any) -> bytes:
    return json.dumps(value).encode()


def labelled(media_type: str, make: Callable[[bytes], bytes] = whole) -> Form:
    return lambda content, url: Sent(body=make(content), media_type=media_type)


def coded(name: str, code: Callable[[bytes], bytes]) -> Form:
    return lambda content, url: Sent(body=code(whole(content)), headers={"content-encoding": name})


def around(before: bytes, after: bytes = b"") -> Form:
    return lambda content, url: Sent(body=before + whole(content) + after)


def noted(value: bytes) -> Form:
    """JSON with a member that no reader takes, beside the picture."""
    return lambda content, url: Sent(body=whole(content).replace(b'"created": 1', b'"note": ' + value))


def placed(place: Callable[[str, str], Any]) -> Form:
    """JSON with the picture elsewhere: ``place`` gets its Base64 and its URL."""
    return lambda content, url: Sent(body=written(place(b64(content), url)))


def entry(make: Callable[[str, str], Any]) -> Form:
    return placed(lambda text, url: {"created": 1, "data": [make(text, url)]})


def spelt(change: Callable[[str], str]) -> Form:
    return entry(lambda text, url: {"b64_json": change(text)})


def streamed(*make: Callable[[str, str], bytes], media_type: str = STREAM_TYPE) -> Form:
    def form(content: bytes, url: str) -> Sent:
        body = b"".join(event(b64(content), url) for event in make)
        return Sent(body=body, media_type=media_type)

    return form


def _deflated_bare(data: bytes) -> bytes:
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return deflater.compress(data) + deflater.flush()


def _url_safe(text: str) -> str:
    return text.replace("+", "-").replace("/", "_")


def _completed(text: str, url: str) -> bytes:
    return event_of({"type": "image_edit.completed", "b64_json": text}, "image_edit.completed")


def _partial(text: str, url: str) -> bytes:
    data = {"type": "image_edit.partial_image", "b64_json": text, "partial_image_index": 0}
    return event_of(data, "image_edit.partial_image")


def _raw(data: bytes) -> Callable[[str, str], bytes]:
    return lambda text, url: data


def _event(make: Callable[[str, str], Any], name: str = "") -> Callable[[str, str], bytes]:
    return lambda text, url: event_of(make(text, url), name)


PADDED = 4096
DRAFT = b64(b"\x89PNG\r\n\x1a\n a draft")
FORMS: Mapping[str, Form] = {
    # What it is labelled as
    "OpenAI's own": labelled(JSON_TYPE),
    "JSON as text": labelled("text/plain"),
    "JSON as a web page": labelled("text/html"),
    "JSON as events": labelled(STREAM_TYPE),
    "JSON as a picture": labelled("image/png"),
    "JSON without a label": labelled(""),
    "the picture itself": labelled("image/png", lambda content: content),
    "the picture as JSON": labelled(JSON_TYPE, lambda content: content),
    "the picture as bytes": labelled("application/octet-stream", lambda content: content),
    "bare Base64": labelled("text/plain", lambda content: b64(content).encode()),
    "a bare data URL": labelled(
        "text/plain", lambda content: f"data:image/png;base64,{b64(content)}".encode()
    ),
    "a bare URL": lambda content, url: Sent(body=url.encode(), media_type="text/plain"),
    # How it is coded
    "gzip": coded("gzip", gzip.compress),
    "gzip in capitals": coded("GZIP", gzip.compress),
    "gzip without a word": coded("", gzip.compress),
    "gzip twice": coded("gzip, gzip", lambda data: gzip.compress(gzip.compress(data))),
    "gzip in two members": coded("gzip", lambda data: gzip.compress(data[:50]) + gzip.compress(data[50:])),
    "gzip without its end": coded("gzip", lambda data: gzip.compress(data)[:-8]),
    "deflate": coded("deflate", zlib.compress),
    "deflate without zlib's head": coded("deflate", _deflated_bare),
    "gzip that is none": coded("gzip", bytes),
    "deflate that is none": coded("deflate", bytes),
    "br that is none": coded("br", bytes),
    "a coding that is a character set": coded("utf-8", bytes),
    # What stands around it
    "white space before": around(b" \n  \r\n" * PADDED),
    "white space after": around(b"", b"\r\n " * PADDED),
    "NULs before": around(bytes(16)),
    "a byte order mark": around(b"\xef\xbb\xbf"),
    "comments before": around(b": keepalive\n\n: keepalive\n\n"),
    "other comments before": around(b"// wait\n# wait\n"),
    "comments after": around(b"", b"\n\n: done\n\n"),
    "a notice before": around(b"<br />\n<b>Notice</b>: Undefined index: size in /api.php on line 3<br />\n"),
    "a notice on the same line": around(b"PHP Warning: Undefined index "),
    "a comment on the same line": around(b"<!-- cached -->"),
    "a call of JavaScript": around(b"callback(", b");"),
    "a guard against scripts": around(b")]}',\n"),
    "a fence": around(b"```json\n", b"\n```"),
    "a line of progress before": around(b'{"status":"processing","progress":50}\n'),
    "something after": around(b"", b'\n{"done":true}\n'),
    "UTF-16": coded("", lambda data: data.decode().encode("utf-16")),
    "UTF-16 without a mark": coded("", lambda data: data.decode().encode("utf-16-le")),
    "bytes of another encoding": noted(b'"caf\xe9 \xc4\xe3"'),
    "control characters in a text": noted(b'"a\x01b\tc"'),
    "a number that is none": noted(b"NaN"),
    "a picture after a line end": labelled("image/png", lambda content: b"\r\n" + content),
    # Where it stands
    "a bare array": placed(lambda text, url: [{"b64_json": text}]),
    "a bare array of texts": placed(lambda text, url: [text]),
    "images": placed(lambda text, url: {"images": [{"url": url}], "seed": 7}),
    "images of texts": placed(lambda text, url: {"images": [url]}),
    "output": placed(lambda text, url: {"output": [{"url": url}]}),
    "output is a list of URLs": placed(lambda text, url: {"status": "succeeded", "output": [url]}),
    "output is a URL": placed(lambda text, url: {"status": "succeeded", "output": url}),
    "output with results": placed(lambda text, url: {"output": {"results": [{"url": url}]}}),
    "result": placed(lambda text, url: {"result": {"b64_json": text}}),
    "result is Base64": placed(lambda text, url: {"result": text}),
    "result with images": placed(lambda text, url: {"result": {"images": [{"image_url": {"url": url}}]}}),
    "result is JSON in a text": placed(lambda text, url: {"result": json.dumps({"data": [{"url": url}]})}),
    "data is an object": placed(lambda text, url: {"data": {"b64_json": text}}),
    "data is Base64": placed(lambda text, url: {"data": text}),
    "data is texts": placed(lambda text, url: {"data": [text]}),
    "data holds images": placed(lambda text, url: {"code": 0, "data": {"images": [{"url": url}]}}),
    "the entry alone": placed(lambda text, url: {"b64_json": text}),
    "JSON in a text": placed(lambda text, url: json.dumps({"data": [{"b64_json": text}]})),
    "a call of the Responses API": placed(
        lambda text, url: {"output": [{"type": "image_generation_call", "result": text}]}
    ),
    "a chat's images": placed(
        lambda text, url: {"choices": [{"message": {"images": [{"image_url": {"url": url}}]}}]}
    ),
    "a chat's words": placed(
        lambda text, url: {"choices": [{"message": {"content": f"Here: ![it]({url}) done"}}]}
    ),
    "inline data": placed(
        lambda text, url: {"candidates": [{"content": {"parts": [{"inlineData": {"data": text}}]}}]}
    ),
    "a chat's link": placed(lambda text, url: {"choices": [{"message": {"content": f"[Download]({url})"}}]}),
    "a place that nobody knows": placed(lambda text, url: {"data": {"task": {"made": {"b64Json": text}}}}),
    "members in capitals": placed(lambda text, url: {"Response": {"ResultImage": text}}),
    "pictures by number": placed(lambda text, url: {"data": {"0": {"picture": text}}}),
    "beside what was sent": placed(lambda text, url: {"task": {"input_picture": DRAFT, "made": text}}),
    # What the entry holds
    "a URL": entry(lambda text, url: {"url": url}),
    "a URL and an empty text": entry(lambda text, url: {"url": url, "b64_json": ""}),
    "image_url": entry(lambda text, url: {"image_url": url}),
    "image_url is an object": entry(lambda text, url: {"image_url": {"url": url}}),
    "url is an object": entry(lambda text, url: {"url": {"cost": 0.02, "result": url}}),
    "url is a list": entry(lambda text, url: {"url": [url]}),
    "url is Base64": entry(lambda text, url: {"url": text}),
    "url is a data URL": entry(lambda text, url: {"url": f"data:image/png;base64,{text}"}),
    "b64_json is a URL": entry(lambda text, url: {"b64_json": url}),
    "b64_json is an object": entry(lambda text, url: {"b64_json": {"data": text}}),
    "image is Base64": entry(lambda text, url: {"image": text}),
    "an entry beside one that is an error": placed(
        lambda text, url: {"data": [{"error": {"code": "InternalServiceError"}}, {"b64_json": text}]}
    ),
    "an error beside the picture": placed(
        lambda text, url: {"error": {"message": "slow"}, "data": [{"b64_json": text}]}
    ),
    # How it is spelt
    "lines": spelt(lambda text: "\r\n".join(text[at : at + 76] for at in range(0, len(text), 76))),
    "lines that were escaped twice": spelt(lambda text: f"{text[:40]}\\n{text[40:]}\\n"),
    "a data URL": spelt(lambda text: f"data:image/png;base64,{text}"),
    "a data URL with a character set": spelt(lambda text: f"data:image/png;charset=utf-8;base64,{text}"),
    "a data URL of no type": spelt(lambda text: f"data:;base64,{text}"),
    "URL-safe": spelt(_url_safe),
    "URL-safe without padding": spelt(lambda text: _url_safe(text).rstrip("=")),
    "without padding": spelt(lambda text: text.rstrip("=")),
    "in quotes": spelt(lambda text: f'"{text}"'),
    "as Python shows it": spelt(lambda text: f"b'{text}'"),
    "white space around": spelt(lambda text: f" {text}\n"),
    "escaped as in a URL": spelt(lambda text: f"data:image/png;base64,{quote(text, safe='')}"),
    "a data URL without a type and its sign": spelt(lambda text: f"data:base64,{text}"),
    "with too much padding": spelt(lambda text: text.rstrip("=") + "===="),
    # Events
    "events": streamed(_partial, _completed, _raw(b"data: [DONE]\n\n")),
    "events as JSON": streamed(_partial, _completed, media_type=JSON_TYPE),
    "events after white space": streamed(_raw(b"\n\n"), _completed),
    "a ping with empty data": streamed(_raw(b"event: ping\ndata:\n\n"), _completed),
    "a ping that cannot be read": streamed(_raw(b"event: ping\ndata: alive\n\n"), _completed),
    "names of generations": streamed(
        _event(lambda text, url: {"type": "image_generation.completed", "b64_json": text})
    ),
    "no name at all": streamed(_event(lambda text, url: {"b64_json": text})),
    "a name in the event line alone": streamed(
        _event(lambda text, url: {"b64_json": text}, "image_edit.completed")
    ),
    "an event that is a whole answer": streamed(
        _event(lambda text, url: {"created": 1, "data": [{"b64_json": text}]})
    ),
    "an event that is a chunk": streamed(
        _event(lambda text, url: {"object": "image.edit.chunk", "type": "image", "data": [{"url": url}]})
    ),
    "an event with a URL": streamed(_event(lambda text, url: {"type": "image_edit.completed", "url": url})),
    "events of the Responses API": streamed(
        _event(
            lambda text, url: {
                "type": "response.image_generation_call.partial_image",
                "partial_image_b64": text,
            }
        ),
        _event(lambda text, url: {"type": "response.output_item.done", "item": {"result": text}}),
        _event(lambda text, url: {"type": "response.completed", "response": {"output": [{"result": text}]}}),
    ),
    "a draft that does not say it is one": streamed(
        _event(lambda text, url: {"type": "image_edit.progress", "b64_json": DRAFT}), _completed
    ),
    "an error after the picture": streamed(
        _completed, _event(lambda text, url: {"error": {"code": "x"}}, "error")
    ),
    "lines of JSON": streamed(
        _raw(b'{"status": "working"}\n'), lambda text, url: written({"data": [{"b64_json": text}]}) + b"\n"
    ),
}
"""In each there is exactly one picture that was paid for."""

WITHOUT: Mapping[str, Form] = {
    "a web page": labelled("text/html", lambda _: b"<!doctype html><html><body></body></html>"),
    "a web page as JSON": labelled(JSON_TYPE, lambda _: b"<html></html>"),
    "a web page with JSON in it": labelled(
        "text/html", lambda _: b'<html><script>\n{"url":"https://shop.example"}\n</script></html>'
    ),
    "nothing": labelled(JSON_TYPE, lambda _: b""),
    "white space": labelled(JSON_TYPE, lambda _: b" \n" * PADDED),
    "words": labelled("text/plain", lambda _: b"accepted"),
    "another task's id": placed(
        lambda text, url: {"code": 200, "data": [{"status": "submitted", "task_id": "task_1"}]}
    ),
    "only a partial picture": streamed(_partial, _raw(b"data: [DONE]\n\n")),
    "only pings": streamed(_raw(b": ping\n\n"), _raw(b"event: ping\ndata: {}\n\n")),
    "words where the picture should be": placed(lambda text, url: {"output": "done", "result": "ok"}),
    "what was sent": placed(lambda text, url: {"status": "queued", "input": {"picture": text}}),
    "a reference that was sent": placed(lambda text, url: {"id": "1", "reference_picture": text}),
    "a web page with pictures in its data": labelled(
        "text/html", lambda content: b"<html><script>\n" + whole(content) + b"\n</script></html>"
    ),
    "a bomb": coded("gzip", lambda data: gzip.compress(bytes(8 * 1024 * 1024))),
}
"""In none of these is a picture that was paid for."""
