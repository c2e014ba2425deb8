"""Writes test/references/images/ and test/references/images.json: what Pillow and transformers make of pictures.

Needs Pillow 12.0.0 and transformers 5.23.0 beside the requirements of the demo models (from 13 on, Pillow resizes
rows after columns where a picture gets much flatter, which rounds differently by a level or two). To be run with
`python -P`, for `kernels.py` beside it has the name of a package that transformers looks for.
"""

import base64
import hashlib
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.dpt.image_processing_pil_dpt import DPTImageProcessorPil
from transformers.models.mobilevit.image_processing_pil_mobilevit import MobileViTImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "test/references/images"
WIDTH, HEIGHT = 83, 61


def drawing() -> Image.Image:
    """Smooth colours, noise, sharp edges of saturated colour: what resizing and JPEG treat differently."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    noise = np.random.default_rng(0).normal(0, 8, (HEIGHT, WIDTH, 3))
    rgb = np.stack([127 + 120 * np.sin(x / 7 + y / 11), 127 + 120 * np.cos(y / 5), x * 255 // WIDTH], -1) + noise
    picture = Image.fromarray(rgb.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    draw.ellipse((12, 10, 40, 38), fill=(220, 20, 30))
    draw.rectangle((50, 30, 75, 52), fill=(10, 200, 60))
    draw.line((0, 0, WIDTH, HEIGHT), fill=(255, 255, 255), width=2)
    return picture


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def save_png(file: Path, header: bytes, lines: bytes) -> None:
    """A PNG of rows that have their filter before them."""
    file.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    )


def save_16_bit(picture: Image.Image, file: Path) -> None:
    """Pillow reads PNG of 16 bits per channel but does not write it in colour."""
    samples = np.asarray(picture).astype(np.uint16) * 257
    samples[::2] -= np.minimum(samples[::2], 100)
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)

    save_png(file, struct.pack(">IIBBBBB", WIDTH, HEIGHT, 16, 2, 0, 0, 0), lines)


def save_interlaced(picture: Image.Image, file: Path) -> None:
    """Pillow reads interlaced PNG (seven passes, each a picture of its own) but does not write it."""
    samples = np.asarray(picture)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    lines = b"".join(b"\0" + row.tobytes() for x, y, right, down in passes for row in samples[y::down, x::right])
    save_png(file, struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 1), lines)


def in_inks(picture: Image.Image) -> Image.Image:
    """In CMYK with a black of its own, which Pillow's conversion would leave empty."""
    rgb = 255 - np.asarray(picture).astype(np.int32)
    black = rgb.min(-1, keepdims=True) // 2
    return Image.fromarray(np.concatenate([rgb - black, black], -1).astype(np.uint8), "CMYK")


def save_inks(picture: Image.Image) -> None:
    """As Pillow writes them, as Photoshop does (YCCK: told by a byte of Adobe's segment), and without that segment."""
    inks = in_inks(picture)
    turned = Image.Exif()
    turned[0x0112] = 6
    inks.save(FOLDER / "cmyk.jpg", quality=90, subsampling=0, exif=turned)
    inks.save(FOLDER / "ycck.jpg", quality=75, subsampling=2, progressive=True)
    ycck = bytearray((FOLDER / "ycck.jpg").read_bytes())
    ycck[ycck.index(b"Adobe") + 11] = 2
    (FOLDER / "ycck.jpg").write_bytes(ycck)
    inks.save(FOLDER / "cmyk-plain.jpg", quality=60, subsampling=1)
    plain = (FOLDER / "cmyk-plain.jpg").read_bytes()
    start = plain.index(b"\xff\xee")
    length = int.from_bytes(plain[start + 2 : start + 4], "big")
    (FOLDER / "cmyk-plain.jpg").write_bytes(plain[:start] + plain[start + 2 + length :])


def save_others(picture: Image.Image, alpha: Image.Image, turned: Image.Exif) -> None:
    """Other formats, in the forms that their own coders have."""
    rgba = Image.merge("RGBA", (*picture.split(), alpha))
    negative = Image.fromarray(255 - np.asarray(picture))
    several = {"save_all": True, "append_images": [negative], "duration": 100}
    picture.save(FOLDER / "lossy.webp", quality=80, exif=turned)
    rgba.save(FOLDER / "lossless.webp", lossless=True, exact=True)
    picture.save(FOLDER / "animated.webp", **several)
    picture.quantize(64).save(FOLDER / "interlaced.gif", transparency=3, interlace=1)
    picture.save(FOLDER / "animated.gif", **several)
    rgba.save(FOLDER / "rgba.bmp")
    picture.quantize(12).save(FOLDER / "palette.bmp")
    picture.convert("1").save(FOLDER / "bits.bmp")
    picture.save(FOLDER / "lzw.tif", compression="tiff_lzw", exif=turned)
    picture.convert("YCbCr").save(FOLDER / "jpeg.tif", compression="jpeg")
    picture.convert("1").save(FOLDER / "fax.tif", compression="group4")
    rgba.save(FOLDER / "pages.tif", save_all=True, append_images=[negative], compression="tiff_adobe_deflate")


def save_turned(picture: Image.Image) -> None:
    """Orientations in each place where Pillow finds one: EXIF, the text that held it in PNG before, XMP."""
    small = picture.crop((0, 0, 23, 17))

    def exif(number: int) -> Image.Exif:
        made = Image.Exif()
        made[0x0112] = number
        return made

    def xmp(number: int) -> bytes:
        return f'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{number}"/>'.encode()

    def save_with_part(name: str, part: bytes, before: bytes) -> None:
        small.save(FOLDER / name)
        plain = (FOLDER / name).read_bytes()
        place = plain.index(before) - 4
        (FOLDER / name).write_bytes(plain[:place] + part + plain[place:])

    small.save(FOLDER / "turned-2.png", exif=exif(2))
    # Big-endian, and behind the pixels.
    save_with_part("turned-6.png", chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\1" + struct.pack(">HHIHHI", 0x0112, 3, 1, 6, 0, 0)), b"IEND")
    data = exif(5).tobytes()
    profile = zlib.compress(f"\nexif\n{len(data):8}\n{data.hex()}\n".encode())
    save_with_part("turned-5-profile.png", chunk(b"zTXt", b"Raw profile type exif\0\0" + profile), b"IDAT")
    save_with_part("turned-8-xmp.png", chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp(8)), b"IDAT")
    small.save(FOLDER / "turned-7-xmp.jpg", xmp=xmp(7))
    small.save(FOLDER / "turned-4-xmp.webp", lossless=True, exif=exif(4), xmp=xmp(7))
    # Kinds that ImageMagick turns by itself as far as to mirror them.
    small.convert("YCbCr").save(FOLDER / "turned-3-jpeg.tif", compression="jpeg", exif=exif(3))
    small.convert("1").save(FOLDER / "turned-8-fax.tif", compression="group4", exif=exif(8))
    small.save(FOLDER / "turned-7-big.tif", big_tiff=True, exif=exif(7))


def save_refused(picture: Image.Image) -> None:
    """What Sinkscope's decoder would make something else of than Pillow."""
    folder = FOLDER / "refused"
    folder.mkdir(exist_ok=True)
    small = picture.crop((0, 0, 16, 12))
    deflate = {"compression": "tiff_adobe_deflate"}
    small.save(folder / "rgb.avif")
    Image.fromarray(np.asarray(small.convert("L")).astype(np.uint16) * 200).save(folder / "deep.tif", **deflate)
    small.quantize(16).save(folder / "palette.tif", **deflate)
    small.convert("CMYK").save(folder / "cmyk.tif", **deflate)
    small.convert("RGBA").save(folder / "multiplied.tif", **deflate)
    tag = (folder / "multiplied.tif").read_bytes()
    plain, associated = (struct.pack("<HHIHH", 338, 3, 1, kind, 0) for kind in (2, 1))
    assert plain in tag
    (folder / "multiplied.tif").write_bytes(tag.replace(plain, associated))
    small.quantize(16).save(folder / "corner.gif")
    corner = bytearray((folder / "corner.gif").read_bytes())
    corner[6:10] = struct.pack("<HH", 20, 20)
    (folder / "corner.gif").write_bytes(corner)
    rows = np.zeros((12, 16), "<u2").tobytes()
    header = struct.pack("<IHHI", 54 + len(rows), 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, 16, 12, 1, 16, 0, *[0] * 5)
    (folder / "high-colour.bmp").write_bytes(b"BM" + header + rows)


def save_pictures() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    picture = drawing()
    alpha = Image.linear_gradient("L").resize(picture.size)
    turned = Image.Exif()
    turned[0x0112] = 6
    picture.save(FOLDER / "rgb.png")
    picture.crop((0, 15, WIDTH, 40)).save(FOLDER / "wide.png")
    Image.merge("RGBA", (*picture.split(), alpha)).save(FOLDER / "rgba.png")
    picture.convert("L").save(FOLDER / "gray.png")
    Image.merge("LA", (picture.convert("L"), alpha)).save(FOLDER / "gray-alpha.png")
    picture.convert("1").save(FOLDER / "bits.png")
    picture.quantize(16).save(FOLDER / "palette.png", transparency=3)
    save_16_bit(picture, FOLDER / "deep.png")
    Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 3).save(FOLDER / "deep-gray.png")
    save_inks(picture)
    picture.save(FOLDER / "420.jpg", quality=88)
    picture.save(FOLDER / "444.jpg", quality=95, subsampling=0)
    picture.save(FOLDER / "progressive.jpg", quality=80, progressive=True)
    picture.convert("L").save(FOLDER / "gray.jpg")
    picture.save(FOLDER / "turned.jpg", quality=88, exif=turned)
    save_interlaced(picture, FOLDER / "interlaced.png")
    save_others(picture, alpha, turned)
    save_turned(picture)
    save_refused(picture)


def rgb_of(file: Path) -> Image.Image:
    return ImageOps.exif_transpose(Image.open(file)).convert("RGB")


def digest(picture: Image.Image) -> str:
    return hashlib.sha256(np.asarray(picture).tobytes()).hexdigest()


PROCESSORS = {
    "vit": (ViTImageProcessorPil, {"size": {"height": 24, "width": 24}}),
    "vit not square": (ViTImageProcessorPil, {"size": {"height": 16, "width": 40}, "resample": 3}),
    "clip": (CLIPImageProcessorPil, {"size": {"shortest_edge": 24}, "crop_size": {"height": 24, "width": 24}}),
    "dinov2": (BitImageProcessorPil, {
        "size": {"shortest_edge": 27}, "crop_size": {"height": 22, "width": 21},
        "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    }),
    "longest edge": (BitImageProcessorPil, {"size": {"shortest_edge": 24, "longest_edge": 30}, "do_center_crop": False}),
    "crop larger than the picture": (BitImageProcessorPil, {
        "size": {"shortest_edge": 17}, "crop_size": {"height": 20, "width": 26},
    }),
    "nothing but rescaling": (ViTImageProcessorPil, {"do_resize": False, "do_normalize": False}),
    "no rescaling": (ViTImageProcessorPil, {
        "size": {"height": 12, "width": 12}, "do_rescale": False, "image_mean": [120, 110, 100], "image_std": [60, 61, 62],
    }),
    "dpt in proportion": (DPTImageProcessorPil, {
        "size": {"height": 28, "width": 28}, "keep_aspect_ratio": True, "ensure_multiple_of": 7,
    }),
    "dpt in multiples": (DPTImageProcessorPil, {"size": {"height": 30, "width": 45}, "ensure_multiple_of": 4}),
    "convnext": (ConvNextImageProcessorPil, {"size": {"shortest_edge": 21}, "crop_pct": 0.875}),
    "mobilevit": (MobileViTImageProcessorPil, {"size": {"shortest_edge": 20}, "crop_size": {"height": 16, "width": 16}}),
}  # fmt: skip


def main() -> None:
    save_pictures()
    files = sorted(FOLDER.glob("*.*"))
    decoded = {f.name: {"width": rgb_of(f).width, "height": rgb_of(f).height, "sha256": digest(rgb_of(f))} for f in files}
    picture = rgb_of(FOLDER / "rgb.png")
    resized = [
        {"resample": filter, "width": width, "height": height, "sha256": digest(picture.resize((width, height), filter))}
        for filter in range(6)
        for width, height in ((32, 24), (83, 20), (31, 61), (150, 100), (200, 9), (1, 1))
    ]
    processed = []
    for name, (Processor, settings) in PROCESSORS.items():
        for file in ("rgb.png", "turned.jpg"):
            processor = Processor(**settings)
            pixels = processor(rgb_of(FOLDER / file), return_tensors="np")["pixel_values"].astype(np.float32)
            config = {key: value for key, value in processor.to_dict().items() if not key.startswith("_")}
            encoded = base64.b64encode(pixels.tobytes()).decode()
            processed.append({"name": name, "file": file, "config": config, "shape": pixels.shape, "pixels": encoded})
    result = {"decoded": decoded, "resized": resized, "processed": processed}
    (ROOT / "test/references/images.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
