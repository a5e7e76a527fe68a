"""Files that are attacks, put where the page takes files: each is refused in words, and the page works on."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digits.client import Client
from live_hostile import ELSEWHERE, HARM
from playwright.sync_api import FilePayload, Locator, Page, expect

Visit = Callable[..., Page]
MIB = 2**20
# What a person who was handed such a file would upload unread.
EVIL_NAME = (
    f"<img src=x onerror=window.pwned=1>![a]({ELSEWHERE}:b.png)[a](javascript:window.pwned=5)\u202egnp"
)
CANNOT, INKLESS = "This file cannot be read", "There is no ink in it"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, rows: bytes, *before: bytes) -> bytes:
    """A grey PNG of this size, whatever its rows hold."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    packed = zlib.compress(rows, 9)
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(before) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def zip_of(**files: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def arrays(**changes: Any) -> bytes:
    """What an archive's samples.npz may hold, with changes; objects are pickled, as numpy does it."""
    digit = np.zeros((2, 28, 28), np.uint8)
    digit[:, 8:20, 13:15] = 255
    file = io.BytesIO()
    values = {"sample_id": np.array(["a", "b"]), "pixels": digit, "label": np.array([1, 1]), **changes}
    np.savez_compressed(file, **values)
    return file.getvalue()


def drawings(*names: str) -> dict[str, bytes]:
    """Files of an archive by their names, each the drawing of a digit."""
    digit = bytes(29 * 8) + (b"\0" + bytes(13) + b"\xff\xff" + bytes(13)) * 12 + bytes(29 * 8)
    return {name: png(28, 28, digit) for name in names}


IMAGES = {
    "of 900 million pixels, in a few bytes": (png(30_000, 30_000, bytes(1000)), CANNOT),
    "of more pixels than may be, and all there": (png(5000, 5000, bytes(5001 * 5000)), CANNOT),
    "with a megabyte of remarks that unpack to a gigabyte": (
        png(28, 28, bytes(29 * 28), chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(64 * MIB), 9))),
        INKLESS,
    ),
    "cut in half": (png(280, 280, bytes(range(256)) * 400)[:200], CANNOT),
    "whose checksums are wrong": (png(28, 28, bytes(29 * 28)).replace(b"IDAT", b"IDAT\xff", 1), CANNOT),
    "without anything": (b"", CANNOT),
    "that is a page": (b"<html><script>window.pwned=2</script></html>", CANNOT),
    "that is a drawing with a script": (
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='window.pwned=3'><script>pwned=2</script></svg>",
        CANNOT,
    ),
    "that is a zip": (zip_of(a=b"b"), CANNOT),
    "that is JSON and says to be an image": (b'{"width": 28, "height": 28, "pixels": "AAAA"}', CANNOT),
}
ARCHIVES = {
    "that is no archive": b"PK\x03\x04 no archive",
    "with names that lead out": zip_of(
        **{"samples.npz": arrays()},
        **drawings("../../evil.png", "/tmp/evil.png", "drawings/..\\..\\evil.png"),
    ),
    "with a drawing too many that leads out": zip_of(
        **{"samples.npz": arrays()}, **drawings("drawings/a.png", "drawings/b.png", "drawings/../../c.png")
    ),
    "that unpacks to more than may be": zip_of(**{"samples.npz": bytes(300 * MIB)}),
    "that holds code": zip_of(
        **{"samples.npz": arrays(label=np.array([print, print], object))},
        **drawings("drawings/a.png", "drawings/b.png"),
    ),
    "whose labels are no digits": zip_of(
        **{"samples.npz": arrays(label=np.array([77, -1]))}, **drawings("drawings/a.png", "drawings/b.png")
    ),
    "that tells of more than it holds": zip_of(
        **{"samples.npz": arrays(label=np.arange(9))}, **drawings("drawings/a.png", "drawings/b.png")
    ),
    "whose names are attacks": zip_of(
        **{"samples.npz": arrays(sample_id=np.array([EVIL_NAME, "b"]))},
        **drawings(f"drawings/{EVIL_NAME}.png", "drawings/b.png"),
    ),
}


def file(name: str, data: bytes, kind: str = "image/png") -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": data}


@pytest.fixture
def huge(tmp_path: Path) -> Path:
    """200 MB that take no room on the disk."""
    path = tmp_path / "huge"
    with path.open("wb") as written:
        written.truncate(200 * MIB)
    return path


@pytest.fixture
def draw_page(visit: Visit, settle: Callable[[Page], None]) -> Iterator[Page]:
    """The Draw page, where files are taken. It comes to no harm."""
    page = visit("/")
    page.get_by_role("radio", name="Upload").click()
    expect(page.get_by_text("Choose an image")).to_be_visible()
    settle(page)
    yield page
    assert page.evaluate(HARM) == []
    expect(page.get_by_test_id("stException")).to_have_count(0)


def chooser(page: Page) -> Locator:
    """Where a file is put."""
    return page.locator("input[type=file]")


def reads_a_seven(page: Page, seven_png: bytes) -> None:
    chooser(page).set_input_files(file("seven.png", seven_png))
    expect(page.locator(".answer .digit")).to_have_text("7")


def test_hostile_images_are_refused_in_words_one_after_the_other_and_a_good_one_is_read(
    draw_page: Page, settle: Callable[[Page], None], seven_png: bytes
) -> None:
    for number, (what, (data, title)) in enumerate(IMAGES.items()):
        chooser(draw_page).set_input_files(file(f"{number}{EVIL_NAME}.png", data))
        # Streamlit leaves out the middle of a long name.
        expect(draw_page.get_by_text(f"{number}<img s").first, what).to_be_visible()
        expect(draw_page.locator(".answer"), what).to_contain_text(title)
        settle(draw_page)
        assert draw_page.evaluate(HARM) == [], what
    reads_a_seven(draw_page, seven_png)


def test_an_image_with_an_evil_name_that_is_read_is_shown_under_that_name_as_text(
    draw_page: Page, seven_png: bytes
) -> None:
    chooser(draw_page).set_input_files(file(f"'{EVIL_NAME}.png", seven_png))
    expect(draw_page.locator(".answer .digit")).to_have_text("7")
    expect(draw_page.locator(".preview img")).to_have_attribute("alt", f"'{EVIL_NAME}.png")


def test_a_file_beyond_the_limit_or_of_another_kind_is_refused_before_it_is_sent(
    draw_page: Page, huge: Path, seven_png: bytes
) -> None:
    sent: list[str] = []
    draw_page.on(
        "request", lambda request: sent.append(request.url) if "upload_file" in request.url else None
    )
    image = huge.rename(huge.with_suffix(".png"))
    chooser(draw_page).set_input_files(image)
    expect(draw_page.get_by_text("File must be 4.0MB or smaller.")).to_be_visible()
    chooser(draw_page).set_input_files(file("label.json", b'{"label": 7}', "application/json"))
    expect(draw_page.get_by_text("application/json files are not allowed.")).to_be_visible()
    assert not [url for url in sent if "upload_file" in url]
    reads_a_seven(draw_page, seven_png)


def test_what_a_page_that_was_tampered_with_sends_is_refused_by_the_pages_server(
    draw_page: Page, seven_png: bytes
) -> None:
    with draw_page.expect_request("**/upload_file/**") as uploading:
        chooser(draw_page).set_input_files(file("seven.png", seven_png))
    expect(draw_page.locator(".answer .digit")).to_have_text("7")
    request = uploading.value
    send = """async ([url, token, bytes]) => {
        const form = new FormData();
        form.append('file', new Blob([new Uint8Array(bytes)]), 'evil');
        const headers = token ? { 'X-Xsrftoken': token } : {};
        return (await fetch(url, { method: 'PUT', body: form, headers })).status;
    }"""
    token = request.headers.get("x-xsrftoken", "")
    # More than the page's server takes at all, and what comes without the page's own token.
    assert 400 <= draw_page.evaluate(send, [request.url, token, 65 * MIB]) < 500
    assert 400 <= draw_page.evaluate(send, [request.url, "", 10]) < 500
    reads_a_seven(draw_page, seven_png)


def test_hostile_archives_are_refused_in_words_and_add_nothing(
    visit: Visit, settle: Callable[[Page], None], live_server: Any, huge: Path
) -> None:
    with Client(live_server.address) as client:
        before = {sample.sample_id for sample in client.list_samples(page_size=1000).samples}
        page = visit("/my_digits")
        opener = page.get_by_role("button", name="Import", exact=True)
        opener.or_(page.get_by_text("Or add those of an archive")).first.click()
        for number, (what, data) in enumerate(ARCHIVES.items()):
            settle(page)
            chooser(page).set_input_files(file(f"{number}{EVIL_NAME}.zip", data, "application/zip"))
            refused = page.get_by_role("alert").filter(has_text=f"Nothing of {number}<img src=x")
            expect(refused, what).to_be_visible()
            assert page.evaluate(HARM) == [], what
        settle(page)
        chooser(page).set_input_files(huge.rename(huge.with_suffix(".zip")))
        expect(page.get_by_text("File must be 64.0MB or smaller.")).to_be_visible()

        # All of this has left nothing, and a good one comes in.
        assert {sample.sample_id for sample in client.list_samples(page_size=1000).samples} == before
        good = zip_of(**{"samples.npz": arrays()}, **drawings("drawings/a.png", "drawings/b.png"))
        chooser(page).set_input_files(file("good.zip", good, "application/zip"))
        expect(page.get_by_role("status").filter(has_text="Added")).to_be_visible()
        for sample in client.list_samples(page_size=1000).samples:
            if sample.sample_id not in before:
                client.delete_sample(sample.sample_id)
    assert page.evaluate(HARM) == []
    expect(page.get_by_test_id("stException")).to_have_count(0)
