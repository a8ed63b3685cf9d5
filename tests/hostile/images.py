"""Image files as an attacker, a bad disk or an old camera would write them."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

import numpy as np
from PIL import Image

ENDINGS = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "BMP": "bmp", "GIF": "gif", "TIFF": "tif"}
RED = (220, 30, 40)


def encoded(image: Image.Image, image_format: str = "PNG", **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def picture(seed: int = 0, side: int = 48) -> Image.Image:
    """A picture that compresses, and that no other seed has."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, pixels: bytes, *further: bytes) -> bytes:
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = png_chunk(b"IDAT", zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(further) + data + png_chunk(b"IEND", b"")


def tiff(data: bytes, **changed: int) -> bytes:
    """A grey TIFF of one deflated strip or tile; ``changed`` are entries by tag, named ``t256`` and so on."""
    entries = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 273: None, 277: 1, 278: 16, 279: len(data)}
    entries |= {int(name[1:]): value for name, value in changed.items()}
    place = 8 + 2 + 12 * len(entries) + 4
    rows = b"".join(
        struct.pack("<HHII", tag, 4, 1, place if value is None else value)
        for tag, value in sorted(entries.items())
    )
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + rows + struct.pack("<I", 0) + data


def jpeg_of_many_scans(scans: int, side: int = 4000) -> bytes:
    """A progressive JPEG whose last scan, of some sixty bytes, comes again and again."""
    data = encoded(Image.new("L", (side, side), 128), "JPEG", progressive=True)
    last = data[data.rfind(b"\xff\xda") : -2]
    return data[:-2] + last * scans + data[-2:]


def jpeg_with_sof(width: int, height: int) -> bytes:
    data = bytearray(encoded(picture(), "JPEG"))
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def animation(image_format: str, **options) -> bytes:
    frames = [picture(seed) for seed in (1, 2, 3)]
    return encoded(frames[0], image_format, save_all=True, append_images=frames[1:], **options)


def looping_exif() -> bytes:
    """Metadata whose directory of directories names itself."""
    return b"Exif\0\0II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 8, 8)


def honest() -> dict[str, bytes]:
    """Unusual files that are pictures nevertheless."""
    ramp = np.linspace(0, 65535, 48 * 48, dtype=np.uint16).reshape(48, 48)
    holes = ramp.astype(np.float32)
    holes[0, 0], holes[1, 1] = np.nan, np.inf
    palette = picture(11).quantize(8)
    exif = Image.Exif()
    exif[0x0112] = 99
    return {
        "animated.gif": animation("GIF"),
        "animated.webp": animation("WEBP", lossless=True),
        "animated.png": animation("PNG"),
        "pages.tif": animation("TIFF"),
        "cmyk.jpg": encoded(picture(4).convert("CMYK"), "JPEG"),
        "cmyk.tif": encoded(picture(5).convert("CMYK"), "TIFF"),
        "ycbcr.tif": encoded(picture(6).convert("YCbCr"), "TIFF"),
        "deep.png": encoded(Image.fromarray(ramp)),
        "deep.tif": encoded(Image.fromarray(ramp), "TIFF"),
        "holes.tif": encoded(Image.fromarray(holes), "TIFF"),
        "bilevel.png": encoded(picture(7).convert("1")),
        "grey-alpha.png": encoded(picture(8).convert("LA")),
        "alpha.webp": encoded(picture(9).convert("RGBA"), "WEBP", lossless=True),
        "palette.png": encoded(palette, transparency=b"\x00\x80\xff"),
        "palette.gif": encoded(palette, "GIF", transparency=3),
        "one-pixel.png": encoded(Image.new("RGB", (1, 1), RED)),
        "thin.png": encoded(Image.new("RGB", (4000, 1), RED)),
        "a-png-named.jpg": encoded(picture(10)),
        "no-ending": encoded(picture(12), "BMP"),
        "no-such-turn.jpg": encoded(picture(13), "JPEG", exif=exif),
        "looping-exif.png": encoded(picture(14), exif=looping_exif()),
        "jpeg-and-zip.jpg": encoded(picture(15), "JPEG") + b"PK\x03\x04" + bytes(100),
        "jpeg-and-film.jpg": encoded(picture(16), "JPEG") + b"\xff\xda\0\x02" * 5000,
        "gif-and-script.gif": encoded(picture(17).quantize(8), "GIF") + b"/*<script>alert(1)</script>*/",
    }


def unusable() -> dict[str, bytes]:
    """Files that must never become an image of the gallery."""
    small = zlib.compress(bytes(256))
    bmp = bytearray(encoded(picture(), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    gif = encoded(picture(), "GIF")
    return {
        "empty.png": b"",
        "text.jpg": b"I am not a picture\n",
        "page.png": b"<html><img src=x onerror=alert(1)></html>",
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>',
        "print.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(id) run\nshowpage\n",
        "pdf-and-png.pdf": b"%PDF-1.4\n" + encoded(picture(20)),
        "plain.ppm": encoded(picture(21), "PPM"),
        "icon.ico": encoded(picture(22), "ICO", sizes=[(32, 32)]),
        "head-only.png": encoded(picture(23))[:8],
        "no-pixels.png": png(48, 48, b""),
        "bomb.png": png(60_000, 60_000, bytes(100)),
        "beyond-the-limit.png": png(9_000, 9_000, bytes(100)),
        "no-width.png": png(0, 48, bytes(100)),
        "huge.jpg": jpeg_with_sof(65_500, 65_500),
        "no-height.jpg": jpeg_with_sof(48, 0),
        "many-scans.jpg": jpeg_of_many_scans(3_000),
        "huge.bmp": bytes(bmp),
        "huge.gif": gif[:6] + struct.pack("<HH", 65_535, 65_535) + gif[10:],
        "huge.tif": tiff(small, t256=100_000, t257=100_000),
        "huge-tile.tif": tiff(zlib.compress(bytes(1 << 20)), t322=20_000, t323=20_000, t324=None, t325=2_000),
        "no-strips.tif": b"II*\0" + struct.pack("<IHI", 8, 0, 0),
        "itself.tif": b"II*\0" + struct.pack("<I", 4),
        "many-samples.tif": tiff(small, t277=60_000),
    }


def damaged() -> dict[str, bytes]:
    """Whole files of each format, cut short or with bytes changed; some of them still show something."""
    random = np.random.default_rng(7)
    found = {}
    for number, (image_format, ending) in enumerate(ENDINGS.items()):
        whole = encoded(picture(30 + number), image_format)
        for eighth in range(1, 8):
            found[f"cut-{eighth}.{ending}"] = whole[: len(whole) * eighth // 8]
        for turn in range(8):
            broken = bytearray(whole)
            reach = len(whole) if turn % 2 else min(64, len(whole))  # every other one in the header
            for place in random.integers(0, reach, 1 + turn):
                broken[place] ^= int(random.integers(1, 256))
            found[f"flipped-{turn}.{ending}"] = bytes(broken)
    return found
