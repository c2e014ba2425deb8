"""Writes test/references/timm.json: what timm's own transform for evaluation makes of pictures, by `pretrained_cfg`.

Needs timm 1.0.31, torchvision and Pillow 12.0.0 beside the requirements of the demo models. To be run with `python -P`.
"""

import base64
import json
from pathlib import Path

from PIL import Image
from timm.data import create_transform, resolve_data_config

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "test/references/images"
HALF = (0.5, 0.5, 0.5)
CONFIGS = {
    "vit: centre of 0.9": dict(input_size=(3, 32, 32), interpolation="bicubic", crop_pct=0.9, crop_mode="center", mean=HALF, std=HALF),
    "deit: nothing said but the size": dict(input_size=(3, 24, 24)),
    "convnext: squashed": dict(input_size=(3, 28, 28), interpolation="bicubic", crop_pct=1.0, crop_mode="squash"),
    "squashed and cut": dict(input_size=(3, 21, 30), interpolation="bilinear", crop_pct=0.95, crop_mode="squash", mean=HALF, std=HALF),
    "the whole picture, bilinear": dict(input_size=(3, 23, 23), interpolation="bilinear", crop_pct=1.0, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "lanczos, larger than the picture": dict(input_size=(3, 80, 80), interpolation="lanczos", crop_pct=0.96, mean=HALF, std=HALF),
    "hamming": dict(input_size=(3, 11, 11), interpolation="hamming", crop_pct=0.9),
    "box": dict(input_size=(3, 12, 12), interpolation="box", crop_pct=0.9),
    "nearest": dict(input_size=(3, 17, 17), interpolation="nearest", crop_pct=0.875),
}  # fmt: skip


def main() -> None:
    entries = []
    for name, config in CONFIGS.items():
        transform = create_transform(**resolve_data_config({}, pretrained_cfg=config), is_training=False)
        for file in ("rgb.png", "420.jpg"):
            pixels = transform(Image.open(FOLDER / file).convert("RGB"))
            data = base64.b64encode(pixels.numpy().astype("<f4").tobytes()).decode()
            entries.append({"name": name, "file": file, "config": config, "shape": [1, *pixels.shape], "pixels": data})
    (ROOT / "test/references/timm.json").write_text(json.dumps(entries) + "\n")


if __name__ == "__main__":
    main()
