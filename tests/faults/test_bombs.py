"""Arrays that are small on the disk and large in memory, or not what their headers say."""

import time
import zipfile

import numpy as np
import pytest
from numpy.lib import format as npy

from ganlab.data import arrays, survey
from ganlab.errors import ConfigError
from ganlab.sample import _read_latents


def squeezed(path, name, shape, dtype, size):
    """An .npz whose array has a header and so many bytes of zeros."""
    with zipfile.ZipFile(path, "w") as archive:
        member = zipfile.ZipInfo(f"{name}.npy")
        member.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(member, "w", force_zip64=True) as file:
            npy.write_array_header_1_0(
                file,
                {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape},  # type: ignore[arg-type]
            )
            for _ in range(size // 2**22):
                file.write(bytes(2**22))


def encrypted(path):
    np.savez(path, images=np.zeros((9, 8, 8), np.uint8), latents=np.zeros((9, 64), np.float32))
    content = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(mark, at + 1)
    path.write_bytes(content)


BOMBS = {
    "squeezed": lambda path: squeezed(path, "images", (2**10, 512, 512), "u1", 2**28),
    "a header of 64 TiB": lambda path: squeezed(path, "images", (2**46,), "u1", 2**22),
    "encrypted": encrypted,
    "no zip": lambda path: path.write_bytes(b"PK\x03\x04" + bytes(100)),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_an_array_that_is_none_is_refused_before_it_is_unpacked(tmp_path, settings, monkeypatch, bomb):
    monkeypatch.setattr(survey, "_HARMLESS_BYTES", 2**26)
    BOMBS[bomb](tmp_path / "bomb.npz")
    began = time.process_time()
    with pytest.raises(ConfigError, match=r"^here=x is (damaged|not an \.npz)"):
        arrays.headers(tmp_path / "bomb.npz", "here=x")
    if bomb in ("squeezed", "encrypted"):
        with pytest.raises(ConfigError, match="damaged"):
            survey.identify((tmp_path / "bomb.npz",), "here=x")
    with pytest.raises(ConfigError, match="cannot be read as numbers"):
        _read_latents(tmp_path / "bomb.npz", settings("dataset=digits"), [])
    assert time.process_time() - began < 5


def test_black_images_are_images(tmp_path):
    np.savez_compressed(tmp_path / "black.npz", images=np.zeros((1000, 64, 64), np.uint8))
    (header,) = arrays.headers(tmp_path / "black.npz", "here=x").values()
    assert not arrays.load(tmp_path / "black.npz", header, "here=x").any()


def test_strokes_are_images_however_well_they_are_compressed_unless_they_are_too_many(tmp_path, monkeypatch):
    path = tmp_path / "strokes.npz"
    strokes = np.zeros((75, 1024, 1024), np.uint8)
    strokes[:, 500, ::100] = 255
    np.savez_compressed(path, images=strokes, few=strokes[:1])
    assert survey.identify((path,), "here=x").bytes * 300 < strokes.nbytes
    assert len(arrays.headers(path, "here=x")) == 2
    monkeypatch.setattr(survey, "_HARMLESS_BYTES", 2**26)
    with pytest.raises(ConfigError, match=r"^here=y .*\(images\.npy is compressed \d{3,4} times, .*numpy\.savez$"):
        arrays.headers(path, "here=y")
