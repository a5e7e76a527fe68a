"""Archives: out and in again without a change, and nothing that is wrong gets in."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import pytest

from server.errors import InvalidArchive, NothingDeployed, SamplesFull
from server.inference import Engine
from server.models import ModelStore
from server.preprocessing import decode_image, normalise
from server.samples import SampleFilter, Samples, SampleSource
from server.samples import samples as samples_module
from server.samples import unpack as unpack_module
from server.samples.archive import as_png
from server.samples.imports import import_samples
from server.samples.pack import pack

Build = Callable[..., IO[bytes]]


def no_version() -> int:
    raise NothingDeployed


@pytest.fixture
def version(store: ModelStore, save: Any, regression: Any) -> int:
    return int(save(store, regression).version)


@pytest.fixture
def build(learnable: Any, png: Any, tmp_path: Path) -> Iterator[Build]:
    """`build(change)` makes an archive of three digits; `change(arrays, files)` makes it a wrong one."""
    opened: list[IO[bytes]] = []

    def make(
        change: Callable[[dict[str, Any], dict[str, Any]], None] = lambda arrays, files: None,
    ) -> IO[bytes]:
        arrays: dict[str, Any] = {
            "sample_id": np.array(["a", "b", "c"]),
            "pixels": np.array(learnable.images[:3]),
            "label": np.array(learnable.labels[:3]),
        }
        files: dict[str, Any] = {
            f"drawings/{name}.png": png(image) for name, image in zip("abc", arrays["pixels"], strict=True)
        }
        change(arrays, files)
        npz = io.BytesIO()
        np.savez(npz, **arrays)
        opened.append((tmp_path / f"{len(opened)}.zip").open("w+b"))
        with zipfile.ZipFile(opened[-1], "w") as archive:
            for name, data in ({"samples.npz": npz.getvalue()} | files).items():
                if data is not None:
                    archive.writestr(name, data)
        opened[-1].flush()
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def test_what_goes_out_comes_in_again(
    samples: Samples, store: ModelStore, version: int, sample_of: Any, learnable: Any, tmp_path: Path
) -> None:
    for index in range(5):
        label = int(learnable.labels[index])
        new = sample_of(learnable.images[index], label, predicted_digit=7, model_version=version)
        samples.add(new)
    before, _ = samples.list(SampleFilter(), 0, 10, with_drawings=True)
    with pack(samples, store, SampleFilter(), lambda: True) as archive:
        # All of it is here already.
        assert import_samples(samples, store, archive, no_version, lambda: True) == (0, 5, 5)
        for one in before:
            samples.delete(one.sample_id)
        assert import_samples(samples, store, archive, no_version, lambda: True) == (5, 0, 5)
    after, _ = samples.list(SampleFilter(), 0, 10, with_drawings=True)
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(old.pixels, new.pixels)
        assert (old.label, old.drawing, old.predicted_digit) == (new.label, new.drawing, new.predicted_digit)
        assert (old.confidence, old.model_version) == (pytest.approx(new.confidence), new.model_version)
        assert new.source is SampleSource.IMPORTED
    assert not [path for path in (tmp_path / "samples").iterdir() if path.name != "test_digits.npz"]


def test_an_archive_is_read_by_numpy_and_any_zip_program(
    samples: Samples, store: ModelStore, version: int, sample_of: Any, learnable: Any
) -> None:
    ids = [
        samples.add(sample_of(learnable.images[index], index, model_version=version))[0].sample_id
        for index in range(3)
    ]
    samples.relabel(ids[1], 9)
    with pack(samples, store, SampleFilter(), lambda: True) as file, zipfile.ZipFile(file) as archive:
        assert archive.testzip() is None
        with np.load(io.BytesIO(archive.read("samples.npz")), allow_pickle=False) as arrays:
            assert arrays["sample_id"].tolist() == ids[::-1]
            assert arrays["label"].tolist() == [2, 9, 0]
            np.testing.assert_array_equal(arrays["pixels"], learnable.images[:3][::-1])
            assert arrays["artifact_sha256"][0].decode() == store.get(version).artifact.sha256
            assert np.isnat(arrays["update_time"]).tolist() == [True, False, True]
        for name in ids:
            png = np.frombuffer(archive.read(f"drawings/{name}.png"), np.uint8)
            assert cv2.imdecode(png, cv2.IMREAD_UNCHANGED).shape == (28, 28)


def test_only_what_is_asked_for_goes_out(
    samples: Samples, store: ModelStore, sample_of: Any, learnable: Any
) -> None:
    for index in range(4):
        samples.add(sample_of(learnable.images[index], index % 2))
    with pack(samples, store, SampleFilter(label=1), lambda: True) as file, zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == 3
    with pack(samples, store, SampleFilter(label=9), lambda: True) as file:
        assert import_samples(samples, store, file, no_version, lambda: True) == (0, 0, 4)


@pytest.mark.parametrize("form", [".jpg", ".webp", ".bmp"])
def test_a_drawing_goes_out_as_a_png_that_reads_the_same(form: str, learnable: Any) -> None:
    large = cv2.resize(255 - learnable.images[0], (112, 112), interpolation=cv2.INTER_CUBIC)
    drawing = cv2.imencode(form, cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))[1].tobytes()
    encoded = as_png(drawing)
    assert encoded.startswith(b"\x89PNG")
    np.testing.assert_array_equal(normalise(decode_image(encoded)), normalise(decode_image(drawing)))


def test_a_photograph_goes_out_small_enough_to_come_in_again() -> None:
    noise = np.random.default_rng(1).integers(0, 256, (1400, 1400, 3), np.uint8)
    photograph = cv2.imencode(".jpg", noise, [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
    assert len(as_png(photograph)) <= 4 * 2**20


def test_a_packing_that_nobody_wants_ends(
    samples: Samples, store: ModelStore, sample_of: Any, learnable: Any
) -> None:
    samples.add(sample_of(learnable.images[0], 1))
    with pytest.raises(CancelledError):
        pack(samples, store, SampleFilter(), lambda: False)


def test_what_another_server_has_read_is_read_anew_here(
    samples: Samples, store: ModelStore, version: int, build: Build, learnable: Any
) -> None:
    def from_elsewhere(arrays: dict[str, Any], files: dict[str, Any]) -> None:
        arrays["predicted_digit"] = np.array([1, 1, 1], np.uint8)
        arrays["confidence"] = np.array([0.5, 0.5, 0.5], np.float32)
        arrays["model_version"] = np.array([version] * 3, np.int32)
        arrays["artifact_sha256"] = np.array([b"0" * 64] * 3)

    archive = build(from_elsewhere)
    assert import_samples(samples, store, archive, lambda: version, lambda: True) == (3, 0, 3)
    expected = Engine(store.artifact_path(version)).probabilities(learnable.images[:3])
    kept = samples.list(SampleFilter(), 0, 3)[0][::-1]
    by_pixels = {one.pixels.tobytes(): one.predicted_digit for one in kept}
    for image, answer in zip(learnable.images[:3], expected, strict=True):
        assert by_pixels[image.tobytes()] == answer.argmax()
    with pytest.raises(NothingDeployed):
        import_samples(samples, store, build(from_elsewhere), no_version, lambda: True)


def replace_array(name: str, value: Any) -> Callable[..., None]:
    return lambda arrays, files: arrays.update({name: value})


def replace_file(name: str, value: Any) -> Callable[..., None]:
    return lambda arrays, files: files.update({name: value})


WRONG: dict[str, tuple[Callable[..., None], str]] = {
    "no labels": (lambda arrays, files: arrays.pop("label"), "expected an array 'label'"),
    "an unknown array": (replace_array("extra", np.zeros(3)), "'extra'"),
    "Python objects": (replace_array("label", np.array([1, 2, None], object)), "label: an array of object"),
    "labels of text": (replace_array("label", np.array(["1", "2", "3"])), "label: an array of <U1"),
    "a label of 10": (replace_array("label", np.array([1, 10, 2])), r"label\[1\]: expected 0 to 9, got 10"),
    "a negative label": (
        replace_array("label", np.array([-1, 1, 2])),
        r"label\[0\]: expected 0 to 9, got -1",
    ),
    "too few labels": (
        replace_array("label", np.array([1, 2])),
        r"label: expected the shape \(3,\), got \(2,\)",
    ),
    "other sizes": (replace_array("pixels", np.ones((3, 27, 28), np.uint8)), "pixels: expected the shape"),
    "pixels of 16 bits": (
        replace_array("pixels", np.ones((3, 28, 28), np.uint16)),
        "expected uint8, got uint16",
    ),
    "a blank digit": (
        replace_array("pixels", np.stack([np.eye(28, dtype=np.uint8), np.zeros((28, 28), np.uint8)] * 2)[:3]),
        r"pixels\[1\]: expected a drawn digit, got no ink",
    ),
    "an id twice": (replace_array("sample_id", np.array(["a", "b", "a"])), "expected each id once"),
    "an id with a path": (replace_array("sample_id", np.array(["a", "b", "../c"])), r"sample_id\[2\]"),
    "not a probability": (
        replace_array("confidence", np.array([0.5, np.nan, 0.5])),
        r"confidence\[1\]: expected 0.0 to 1.0, got nan",
    ),
    "a missing drawing": (replace_file("drawings/b.png", None), "drawings/b.png: it is missing"),
    "a drawing too many": (replace_file("drawings/d.png", b"x"), "drawings/d.png: no sample has this id"),
    "a drawing that is none": (
        replace_file("drawings/b.png", b"<svg/>"),
        "drawings/b.png: expected PNG, JPEG",
    ),
    "a drawing of another form": (
        replace_file("drawings/b.png", cv2.imencode(".bmp", np.eye(28, dtype=np.uint8) * 255)[1].tobytes()),
        "drawings/b.png: expected a PNG file, got BMP",
    ),
    "a blank drawing": (
        replace_file("drawings/b.png", cv2.imencode(".png", np.zeros((28, 28), np.uint8))[1].tobytes()),
        "drawings/b.png: expected a drawn digit",
    ),
    "a drawing of 5 MiB": (
        replace_file("drawings/b.png", bytes(5 * 2**20)),
        "drawings/b.png: expected at most",
    ),
    "a way out": (replace_file("../../etc/passwd", b"x"), "'../../etc/passwd': expected samples.npz and"),
    "a root": (replace_file("/drawings/d.png", b"x"), "'/drawings/d.png': expected samples.npz and"),
    "a hidden way out": (replace_file("drawings/../d.png", b"x"), "'drawings/../d.png': expected"),
    "a file besides": (replace_file("readme.txt", b"x"), "'readme.txt': expected samples.npz and"),
    "no arrays": (replace_file("samples.npz", b"PK"), "samples.npz: expected a file of NumPy's savez"),
}


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_what_is_wrong_is_named_and_nothing_comes_in(
    samples: Samples, store: ModelStore, build: Build, change: Any, message: str
) -> None:
    with pytest.raises(InvalidArchive, match=message) as raised:
        import_samples(samples, store, build(change), no_version, lambda: True)
    assert raised.value.field == "chunk"
    assert sum(samples.counts().values()) == 0


def test_a_folder_that_a_program_packed_too_is_no_fault(
    samples: Samples, store: ModelStore, version: int, build: Build
) -> None:
    archive = build(replace_file("drawings/", b""))
    assert import_samples(samples, store, archive, lambda: version, lambda: True) == (3, 0, 3)


@pytest.mark.parametrize(
    "header", ["(" * 9000, "-" * 9000 + "1", "(" * 900, "-" * 900 + "1", "[" * 90 + "]" * 90]
)
def test_an_array_whose_description_goes_too_deep_is_refused_as_such(
    samples: Samples, store: ModelStore, build: Build, header: str
) -> None:
    # Python's parser, which NumPy gives it to, runs out of its stack and calls that a lack of memory.
    def change(arrays: dict[str, Any], files: dict[str, Any]) -> None:
        npz = io.BytesIO()
        np.savez(npz, **{name: array for name, array in arrays.items() if name != "label"})
        with zipfile.ZipFile(npz, "a") as members:
            text = header.encode() + b"\n"
            members.writestr("label.npy", b"\x93NUMPY\x02\x00" + len(text).to_bytes(4, "little") + text)
        files["samples.npz"] = npz.getvalue()

    with pytest.raises(InvalidArchive, match="label: it cannot be read"):
        import_samples(samples, store, build(change), no_version, lambda: True)
    assert sum(samples.counts().values()) == 0


@pytest.mark.parametrize("order", ["<", ">"])
def test_texts_of_characters_that_there_are_not_are_refused(
    samples: Samples, store: ModelStore, build: Build, order: str
) -> None:
    def change(arrays: dict[str, Any], files: dict[str, Any]) -> None:
        arrays["sample_id"] = np.array([0x41, 0x110000, 0xFFFFFFFF], f"{order}u4").view(f"{order}U1")

    with pytest.raises(InvalidArchive, match="sample_id: expected texts, got characters that Unicode"):
        import_samples(samples, store, build(change), no_version, lambda: True)


@pytest.mark.parametrize("descr", ["__import__('os').getpid()", "[1, 2", "'<u1', 'x': 3"])
def test_an_array_that_cannot_be_read_is_refused_without_a_word_of_the_inside(
    samples: Samples, store: ModelStore, build: Build, descr: str
) -> None:
    def change(arrays: dict[str, Any], files: dict[str, Any]) -> None:
        npz = io.BytesIO()
        np.savez(npz, **{name: array for name, array in arrays.items() if name != "label"})
        header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': (3,)}}\n".encode()
        with zipfile.ZipFile(npz, "a") as members:
            members.writestr(
                "label.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header + b"123"
            )
        files["samples.npz"] = npz.getvalue()

    with pytest.raises(InvalidArchive, match="label: it cannot be read") as raised:
        import_samples(samples, store, build(change), no_version, lambda: True)
    assert "ast." not in raised.value.message
    assert " at 0x" not in raised.value.message


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip at all" * 100])
def test_what_is_no_archive_is_refused(
    samples: Samples, store: ModelStore, tmp_path: Path, data: bytes
) -> None:
    (tmp_path / "x.zip").write_bytes(data)
    with (
        (tmp_path / "x.zip").open("rb") as file,
        pytest.raises(InvalidArchive, match="expected a zip archive"),
    ):
        import_samples(samples, store, file, no_version, lambda: True)


def test_a_damaged_byte_anywhere_lets_nothing_in(
    samples: Samples, store: ModelStore, build: Build, version: int, tmp_path: Path
) -> None:
    whole = build()
    whole.seek(0)
    data = bytearray(whole.read())
    for place in range(0, len(data), 97):
        damaged = data.copy()
        damaged[place] ^= 0xFF
        (tmp_path / "damaged.zip").write_bytes(damaged)
        with (tmp_path / "damaged.zip").open("rb") as file:
            try:
                added, _, _ = import_samples(samples, store, file, lambda: version, lambda: True)
            except InvalidArchive:
                continue
        # Times and the like may say what they want; what came in is what was packed.
        assert added in (0, 3)


def test_a_bomb_is_refused_before_it_is_unpacked(
    samples: Samples, store: ModelStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(unpack_module, "MAX_UNPACKED_BYTES", 4 * 2**20)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("samples.npz", bytes(5 * 2**20))
    assert (tmp_path / "bomb.zip").stat().st_size < 10_000
    with (tmp_path / "bomb.zip").open("rb") as file, pytest.raises(InvalidArchive, match="4 MiB unpacked"):
        import_samples(samples, store, file, no_version, lambda: True)


def test_only_what_every_program_unpacks_is_unpacked(
    samples: Samples, store: ModelStore, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "rare.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("samples.npz", b"x")
    with (
        (tmp_path / "rare.zip").open("rb") as file,
        pytest.raises(InvalidArchive, match="stored or deflated"),
    ):
        import_samples(samples, store, file, no_version, lambda: True)


def test_a_bomb_within_the_arrays_is_refused_too(
    samples: Samples, store: ModelStore, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bomb(arrays: dict[str, Any], files: dict[str, Any]) -> None:
        npz = io.BytesIO()
        np.savez_compressed(npz, **{**arrays, "label": np.zeros(2**21, np.uint8)})
        files["samples.npz"] = npz.getvalue()

    monkeypatch.setattr(unpack_module, "MAX_UNPACKED_BYTES", 2**20)
    with pytest.raises(InvalidArchive, match="1 MiB unpacked"):
        import_samples(samples, store, build(bomb), no_version, lambda: True)


def test_an_array_that_claims_to_be_huge_takes_no_memory(
    samples: Samples, store: ModelStore, build: Build
) -> None:
    def lie(arrays: dict[str, Any], files: dict[str, Any]) -> None:
        npz = io.BytesIO()
        np.savez(npz, **{name: array for name, array in arrays.items() if name != "pixels"})
        with zipfile.ZipFile(npz, "a") as archive, archive.open("pixels.npy", "w") as member:
            header = {"descr": "|u1", "fortran_order": False, "shape": (2**40, 28, 28)}
            np.lib.format.write_array_header_1_0(member, header)
        files["samples.npz"] = npz.getvalue()

    with pytest.raises(InvalidArchive, match=r"pixels: expected .* got 0 bytes"):
        import_samples(samples, store, build(lie), no_version, lambda: True)


def test_too_many_files_are_refused_before_they_are_listed(
    samples: Samples, store: ModelStore, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpack_module, "MAX_SAMPLES", 2)

    def many(arrays: dict[str, Any], files: dict[str, Any]) -> None:
        files.update({f"drawings/more{index}.png": b"x" for index in range(200)})

    with pytest.raises(InvalidArchive, match="at most 2 samples, got more files"):
        import_samples(samples, store, build(many), no_version, lambda: True)
    with pytest.raises(InvalidArchive, match="at most 2 samples, got 3"):
        import_samples(samples, store, build(), no_version, lambda: True)


def test_all_or_none_of_an_archive_comes_in(
    samples: Samples, store: ModelStore, version: int, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples_module, "MAX_SAMPLES", 2)
    with pytest.raises(SamplesFull):
        import_samples(samples, store, build(), lambda: version, lambda: True)
    assert sum(samples.counts().values()) == 0


def test_an_import_that_nobody_waits_for_adds_nothing(
    samples: Samples, store: ModelStore, version: int, build: Build
) -> None:
    for asked in range(7):
        left = [True] * asked

        def is_wanted(left: list[bool] = left) -> bool:
            return left.pop() if left else False

        with pytest.raises(CancelledError):
            import_samples(samples, store, build(), lambda: version, is_wanted)
        assert sum(samples.counts().values()) == 0


def test_equal_drawings_within_an_archive_come_in_once_for_each_label(
    samples: Samples, store: ModelStore, version: int, build: Build
) -> None:
    def alike(arrays: dict[str, Any], files: dict[str, Any]) -> None:
        arrays["pixels"][:] = arrays["pixels"][0]
        arrays["label"][:] = [1, 1, 7]

    assert import_samples(samples, store, build(alike), lambda: version, lambda: True) == (2, 1, 2)
