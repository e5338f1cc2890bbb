#!/usr/bin/env python3
"""Writes the reference vectors of the image tests with Pillow: run in this directory.

The tests read the files that lie here; neither Python nor Pillow is needed to run them. The files
were written by Pillow 9.4.0 with libjpeg-turbo 2.1.5 and NumPy 1.24.2 (Debian 12: python3-pil,
python3-numpy).

decode/NAME.png, .jpg             an image, NAME.rgb.npy and NAME.l.npy what convert("RGB") and
                                  convert("L") give
resize/NAME.npy                   an image [H, W, C], NAME.FILTER.WxH.npy what resize((W, H)) gives
model/NAME.FILTER.SIZE.PERMILLE.npy
                                  decode/NAME after timm's evaluation transform, crop_pct in 1/1000
"""
import io
import math
import pathlib
import shutil
import struct
import zlib

import numpy as np
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
random = np.random.RandomState(20240229)


def picture(height, width, channels):
    """Smooth shapes, hard edges and noise, over the whole range."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for c in range(channels):
        plane = 127.5 + 90 * np.sin(x / (3 + 2 * c) + c) * np.cos(y / (4 + c))
        plane += 120 * (((x // 5 + y // 7) % 2) - 0.5)
        plane += random.normal(0, 25, size=(height, width))
        planes.append(plane)
    return np.clip(np.rint(np.stack(planes, -1)), 0, 255).astype(np.uint8)


def image_of(array):
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def save_array(path, image):
    array = np.asarray(image)
    np.save(path, array[..., None] if array.ndim == 2 else array)


# A PNG writer for what Pillow cannot write: every depth and colour type, and interlacing.
def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pack_rows(samples, depth):
    """samples: integers [H, W, channels] -> filtered rows of filter type 0."""
    out = b""
    for row in samples.reshape(samples.shape[0], -1):
        if depth == 16:
            data = row.astype(">u2").tobytes()
        elif depth == 8:
            data = row.astype(np.uint8).tobytes()
        else:
            bits = (row[:, None] >> np.arange(depth - 1, -1, -1)) & 1
            data = np.packbits(bits.astype(np.uint8).ravel()).tobytes()
        out += b"\0" + data
    return out


def png(samples, depth, color_type, interlaced=False, extra=b""):
    height, width = samples.shape[:2]
    if interlaced:
        adam7 = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2),
                 (0, 1, 2, 2), (1, 0, 2, 1)]
        passes = [samples[y::dy, x::dx] for y, x, dy, dx in adam7]
        data = b"".join(pack_rows(p, depth) for p in passes if p.size)
    else:
        data = pack_rows(samples, depth)
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra +
            chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def png_files():
    gray, gray_alpha, rgb, rgba, palette = 0, 4, 2, 6, 3
    channels = {gray: 1, gray_alpha: 2, rgb: 3, rgba: 4, palette: 1}
    names = {gray: "gray", gray_alpha: "graya", rgb: "rgb", rgba: "rgba", palette: "palette"}
    depths = {gray: (1, 2, 4, 8, 16), gray_alpha: (8, 16), rgb: (8, 16), rgba: (8, 16),
              palette: (1, 2, 4, 8)}
    for kind, kind_depths in depths.items():
        for depth in kind_depths:
            for interlaced in (False, True):
                samples = random.randint(0, 1 << depth, size=(11, 13, channels[kind]))
                if kind == gray and depth == 16:  # Pillow clips these at 255
                    samples[::2] = random.randint(0, 300, size=samples[::2].shape)
                extra = b""
                if kind == palette:
                    # A palette too short for 4 and 8 bits: indices beyond it.
                    entries = min(1 << depth, 200 if depth == 8 else 13)
                    extra = chunk(b"PLTE", random.bytes(3 * entries))
                    if interlaced:
                        extra += chunk(b"tRNS", random.bytes(entries))
                elif kind in (gray, rgb) and interlaced:
                    key = samples[0, 0].astype(">u2").tobytes()
                    extra = chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"tRNS", key)
                name = f"{names[kind]}{depth}{'_interlaced' if interlaced else ''}.png"
                yield name, png(samples, depth, kind, interlaced, extra)
    yield "tiny_interlaced.png", png(random.randint(0, 256, (2, 1, 3)), 8, rgb, True)
    for channels in (1, 3):  # every row filter, several IDAT chunks
        buffer = io.BytesIO()
        image_of(picture(61, 47, channels)).save(buffer, "PNG", optimize=True)
        yield f"picture_{'gray' if channels == 1 else 'rgb'}.png", buffer.getvalue()


def drop_segments(data, markers):
    """A JPEG file without the segments of these markers."""
    out, at = data[:2], 2
    while data[at + 1] != 0xDA:
        length = 2 + struct.unpack(">H", data[at + 2:at + 4])[0]
        if data[at + 1] not in markers:
            out += data[at:at + length]
        at += length
    return out + data[at:]


def adobe(data, transform):
    """The same data under an Adobe marker with this colour transform."""
    data = drop_segments(data, (0xE0, 0xEE))
    segment = b"Adobe" + struct.pack(">HHHB", 100, 0, 0, transform)
    return data[:2] + b"\xff\xee" + struct.pack(">H", 2 + len(segment)) + segment + data[2:]


def jpeg_files():
    def encode(image, **options):
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", **options)
        return buffer.getvalue()

    rgb = image_of(picture(45, 59, 3))
    for name, subsampling in (("444", 0), ("422", 1), ("420", 2)):
        yield f"ycc{name}.jpg", encode(rgb, quality=85, subsampling=subsampling)
    yield "ycc420_progressive.jpg", encode(rgb, quality=70, progressive=True)
    yield "ycc420_poor.jpg", encode(rgb, quality=15, optimize=True)
    yield "gray.jpg", encode(image_of(picture(37, 29, 1)), quality=80)
    yield "one_pixel.jpg", encode(image_of(picture(1, 1, 3)))
    yield "narrow.jpg", encode(image_of(picture(33, 2, 3)), subsampling=2)
    yield "adobe_rgb.jpg", adobe(encode(rgb, quality=90, subsampling=0), 0)
    cmyk = Image.frombytes("CMYK", (27, 19), picture(19, 27, 4).tobytes())
    data = encode(cmyk, quality=90)
    yield "cmyk_adobe.jpg", data
    yield "cmyk_plain.jpg", drop_segments(data, (0xEE,))
    yield "ycck.jpg", adobe(data, 2)
    # Damage that libjpeg only warns of and Pillow passes over.
    data = bytearray(encode(rgb, quality=85))
    data[len(data) // 2:-60:9] = b"\x55" * len(data[len(data) // 2:-60:9])
    yield "damaged.jpg", bytes(data)
    yield "early_end.jpg", encode(rgb, quality=85)[:-40] + b"\xff\xd9"
    yield "junk_behind.jpg", encode(rgb, quality=85) + b"junk"


def write_decode(directory):
    for name, data in [*png_files(), *jpeg_files()]:
        (directory / name).write_bytes(data)
        for mode in ("RGB", "L"):
            save_array(directory / f"{pathlib.Path(name).stem}.{mode.lower()}.npy",
                       Image.open(io.BytesIO(data)).convert(mode))


def write_resize(directory):
    cases = [
        ("rgb", (30, 41, 3), [(41, 30), (20, 15), (37, 11), (64, 50), (41, 17), (50, 30), (1, 1),
                              (3, 90)]),
        ("gray", (31, 23, 1), [(23, 31), (22, 30), (24, 32), (5, 60), (46, 62), (2, 2)]),
        ("row", (1, 200, 3), [(100, 1), (7, 9), (333, 1), (200, 3), (1, 1)]),
        ("column", (150, 1, 1), [(1, 75), (4, 11), (1, 151), (1, 1)]),
        ("pixel", (1, 1, 3), [(1, 1), (5, 4)]),
        ("two", (2, 2, 1), [(1, 1), (3, 3), (16, 16)]),
        ("wide", (3, 500, 1), [(40, 3), (9, 31)]),
    ]
    for name, shape, sizes in cases:
        array = picture(*shape)
        np.save(directory / f"{name}.npy", array)
        for filter_name, resample in FILTERS.items():
            for width, height in sizes:
                save_array(directory / f"{name}.{filter_name}.{width}x{height}.npy",
                           image_of(array).resize((width, height), resample))
    # Black and white alone drive the bicubic weights beyond both ends of the range.
    array = random.randint(0, 2, size=(24, 24, 1)).astype(np.uint8) * 255
    np.save(directory / "extremes.npy", array)
    for size in (9, 24, 31, 48):
        save_array(directory / f"extremes.bicubic.{size}x{size}.npy",
                   image_of(array).resize((size, size), FILTERS["bicubic"]))


def evaluation_transform(image, size, crop_pct, resample):
    """timm's transforms_imagenet_eval, crop_mode "center", on torchvision's Resize, CenterCrop."""
    if image.size == (size, size):
        return image
    shorter = math.floor(size / crop_pct)
    width, height = image.size
    if width <= height:
        new = (shorter, int(shorter * height / width))
    else:
        new = (int(shorter * width / height), shorter)
    image = image.resize(new, resample)
    left = int(round((new[0] - size) / 2.0))
    top = int(round((new[1] - size) / 2.0))
    return image.crop((left, top, left + size, top + size))


def write_model(directory):
    sources = ["picture_rgb.png", "picture_gray.png", "ycc420.jpg", "gray.jpg", "cmyk_adobe.jpg",
               "narrow.jpg"]
    for name in sources:
        image = Image.open(HERE / "decode" / name)
        image = image.convert("L" if "gray" in name else "RGB")
        for filter_name, size, permille in (("bicubic", 32, 900), ("bicubic", 24, 875),
                                            ("bilinear", 29, 1000), ("bicubic", 64, 950)):
            out = evaluation_transform(image, size, permille / 1000, FILTERS[filter_name])
            save_array(directory / f"{name}.{filter_name}.{size}.{permille}.npy", out)


if __name__ == "__main__":
    for part, write in (("decode", write_decode), ("resize", write_resize), ("model", write_model)):
        shutil.rmtree(HERE / part, ignore_errors=True)
        (HERE / part).mkdir()
        write(HERE / part)
