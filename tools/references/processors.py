"""Writes what is known of transformers' image processors by their names, and what they make of pictures.

src/tokens/processors.json: the keys that a class fills in where a file leaves them out, for those whose steps are known;
the names of all others; and which class a type of model has where its file names none. test/references/processors.json:
what the known ones make of a picture, given as little as they take.

Needs transformers 5.23.0, Pillow 12.0.0 and, for the names of those that there are, torchvision beside the requirements
of the demo models. To be run with `python -P`, as images.py.
"""

import base64
import importlib
import inspect
import json
from pathlib import Path

import numpy as np
import transformers
from PIL import Image
from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "test/references/images"
#: Those that resize, cut, rescale, normalise and flip, in this order.
PLAIN = """Beit Bit Blip Chameleon ChineseCLIP CLIP ConditionalDetr ConvNext DeformableDetr DeiT Detr DINOv3ViT DPT Eomt Flava Gemma3
GroundingDino LayoutLMv3 Levit Llava Mask2Former MaskFormer MobileNetV1 MobileNetV2 MobileViT OneFormer OwlViT Pvt RTDetr Sam
Sam2 Sam3 Segformer SegGpt Siglip ViT Yolos""".split()
KEYS = """do_resize size resample do_center_crop crop_size do_rescale rescale_factor do_normalize image_mean image_std
do_pad pad_size size_divisor do_flip_channel_order crop_pct keep_aspect_ratio ensure_multiple_of default_to_square""".split()
#: Off unless they are asked for, and then they make more or other pictures.
SWITCHES = {"LayoutLMv3": {"apply_ocr": False}}
#: The smallest file of each, with a size that a reference can have; a number where the class takes one.
SMALL = {
    "ConvNext": {"size": 14}, "Levit": {"size": 14, "crop_size": 13}, "CLIP": {"size": 14, "crop_size": 12},
    "DeiT": {"size": 14, "crop_size": 12}, "Beit": {"size": 14, "crop_size": 12, "do_center_crop": True},
    "Detr": {"size": 12, "max_size": 17}, "RTDetr": {"size": {"height": 12, "width": 10}}, "SegGpt": {"size": [10, 12]},
    "Yolos": {"size": {"shortest_edge": 20, "longest_edge": 60}},
    "Sam": {"size": {"longest_edge": 15}, "pad_size": {"height": 15, "width": 15}},
}  # fmt: skip
BOTH = {"size": {"shortest_edge": 12, "longest_edge": 17}}


def classes() -> dict[str, type]:
    found = {}
    for file in sorted(Path(transformers.__file__).parent.glob("models/*/image_processing_*.py")):
        module = importlib.import_module(f"transformers.models.{file.parent.name}.{file.stem}")
        for name, one in inspect.getmembers(module, inspect.isclass):
            if one.__module__ == module.__name__ and name.endswith(("ImageProcessor", "ImageProcessorPil")):
                base = name.removesuffix("Pil").removesuffix("ImageProcessor")
                if base not in found or name.endswith("Pil"):
                    found[base] = one
    return found


def settled(name: str, one: type) -> dict:
    made = one(**SWITCHES.get(name, {})).to_dict()
    values = {key: made[key] for key in KEYS if key in made and made[key] is not None}
    if getattr(one, "default_to_square", True) is False:
        values["default_to_square"] = False
    return values


def main() -> None:
    every = classes()
    bases = lambda backends: {name.removesuffix("Pil").removesuffix("ImageProcessor") for name in backends.values() if name}
    models = {kind: min(bases(backends)) for kind, backends in IMAGE_PROCESSOR_MAPPING_NAMES.items() if bases(backends)}
    table = {
        "known": {name: settled(name, every[name]) for name in PLAIN},
        "others": sorted(set(every) - set(PLAIN)),
        "models": {kind: name for kind, name in sorted(models.items()) if name in PLAIN},
    }
    (ROOT / "src/tokens/processors.json").write_text(json.dumps(table, indent=1) + "\n")

    entries = []
    for name in PLAIN:
        one = every[name]
        size = one(**SWITCHES.get(name, {})).size
        small = SMALL.get(name) or (BOTH if size.longest_edge else {"size": 12})
        if name not in SMALL and one(**SWITCHES.get(name, {})).do_center_crop:
            small = {**small, "crop_size": 11}
        for file in ("rgb.png", "wide.png") if "longest_edge" in one().size or name == "Detr" else ("rgb.png",):
            config = {"image_processor_type": f"{name}ImageProcessor", **SWITCHES.get(name, {}), **small}
            picture = Image.open(PICTURES / file).convert("RGB")
            pixels = one(**{key: value for key, value in config.items() if key != "image_processor_type"})(
                picture, return_tensors="np"
            )["pixel_values"]
            data = np.asarray(pixels).astype("<f4")
            entries.append({"name": name, "file": file, "config": config, "shape": data.shape, "pixels": base64.b64encode(data.tobytes()).decode()})
    (ROOT / "test/references/processors.json").write_text(json.dumps(entries) + "\n")


if __name__ == "__main__":
    main()
