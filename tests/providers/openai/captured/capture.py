"""Captures what the official SDK sends for an image edit, from a server on loopback that only listens.

The SDK is not among this project's dependencies. From this folder:

    python -m venv /tmp/sdk && /tmp/sdk/bin/pip install openai==3.57.0
    /tmp/sdk/bin/python capture.py

writes one ``<case>.multipart`` per case: the request's Content-Type on the first line, then its body.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
MEDIA_TYPES = {".png": "image/png", ".jpg": "image/jpeg", ".webp": "image/webp"}
ANSWER = json.dumps({"created": 1, "data": [{"b64_json": ""}]}).encode()

PROMPT = "Make it a summer evening."
UNICODE_PROMPT = '把背景换成 “海边” 🌊\nsecond line, "quoted", 100 % & more'


def file(name: str, shown: str = "") -> tuple[str, bytes, str]:
    """Return a picture as the SDK takes it."""
    path = FOLDER / "pictures" / name
    return shown or name, path.read_bytes(), MEDIA_TYPES[path.suffix]


def cases() -> dict[str, dict[str, Any]]:
    """Return the arguments of each captured call."""
    three = ("photo.png", "photo.jpg", "photo.webp")
    return {
        "one": {"model": "gpt-image-2", "image": file("photo.png"), "prompt": PROMPT, "n": 1, "size": "auto"},
        "unicode": {
            "model": "gpt-image-2",
            "image": file("photo.png", "сад 花园 café.png"),
            "prompt": UNICODE_PROMPT,
            "n": 1,
            "size": "auto",
        },
        "masked": {
            "model": "gpt-image-2",
            "image": file("photo.png"),
            "mask": file("mask.png"),
            "prompt": PROMPT,
            "n": 1,
            "size": "1024x1024",
        },
        "two": {
            "model": "gpt-image-2",
            "image": [file("photo.png"), file("photo.jpg")],
            "prompt": PROMPT,
            "n": 1,
            "size": "auto",
        },
        "sixteen": {
            "model": "gpt-image-2",
            "image": [file(three[index % 3]) for index in range(16)],
            "mask": file("mask.png"),
            "prompt": PROMPT,
            "n": 1,
            "size": "auto",
        },
        "options": {
            "model": "gpt-image-2.5-sunburst",
            "image": file("photo.webp"),
            "prompt": PROMPT,
            "n": 3,
            "size": "1536x864",
            "quality": "max",
            "background": "transparent",
            "output_format": "webp",
            "output_compression": 80,
            "user": "user-1",
        },
        "fidelity": {
            "model": "gpt-image-1.5",
            "image": file("photo.jpg"),
            "prompt": PROMPT,
            "n": 1,
            "size": "1536x1024",
            "input_fidelity": "high",
        },
        "streamed": {
            "model": "gpt-image-2",
            "image": file("photo.jpg"),
            "prompt": PROMPT,
            "n": 1,
            "size": "auto",
            "stream": True,
            "partial_images": 2,
        },
        "dall-e-2": {
            "model": "dall-e-2",
            "image": file("cut-out.png"),
            "prompt": PROMPT,
            "n": 2,
            "size": "256x256",
            "response_format": "b64_json",
            "user": "user-1",
        },
    }


class Listener(BaseHTTPRequestHandler):
    """Keeps the last request."""

    last: tuple[str, bytes] = ("", b"")

    def do_POST(self) -> None:
        """Answer a call with an empty success."""
        body = self.rfile.read(int(self.headers["content-length"]))
        Listener.last = self.headers["content-type"], body
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(ANSWER)))
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


def main() -> None:
    """Make every call once."""
    from openai import OpenAI  # type: ignore[import-not-found]  # noqa: PLC0415  only here, see above

    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    client = OpenAI(api_key="sk-none", base_url=f"http://127.0.0.1:{server.server_port}/v1")
    for name, arguments in cases().items():
        client.images.edit(**arguments)
        content_type, body = Listener.last
        (FOLDER / f"{name}.multipart").write_bytes(content_type.encode() + b"\n" + body)


if __name__ == "__main__":
    main()
