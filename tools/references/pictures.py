"""Writes test/references/pictures.json: vision fixtures of test/zoo on pictures, by transformers and ONNX Runtime.

Needs what images.py needs, and onnxruntime 1.31. To be run with `python -P`, as images.py.
"""

import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from PIL import Image, ImageOps
from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "test/zoo/fixtures"
SQUARE = ViTImageProcessorPil(size={"height": 32, "width": 32}, resample=3)
CROP = BitImageProcessorPil(
    size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}, resample=3,
    image_mean=[0.485, 0.456, 0.406], image_std=[0.229, 0.224, 0.225],
)  # fmt: skip
CASES = [
    ("dinov2_with_registers-dynamo-op18", "rgb.png", CROP),
    ("dinov2_with_registers-dynamo-op18", "turned.jpg", SQUARE),
    ("vit-ort-fused", "rgb.png", SQUARE),
    ("vit_mae-ts-op17", "rgb.png", SQUARE),
]


def run(fixture: str, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Hidden states and patterns, without the optimiser; a masked autoencoder keeps the first of its patches."""
    model = onnx.load(FIXTURES / fixture / "model.onnx")
    taps = json.loads((FIXTURES / fixture / "fixture.json").read_text())["taps"]
    made = {output for node in model.graph.node for output in node.output}
    wanted = {
        name: tap["tensor"] for name, tap in taps.items() if name.split(".")[0] in ("hidden", "attn") and tap["tensor"] in made
    }
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=tensor) for tensor in wanted.values())
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {"pixel_values": pixels}
    for info in session.get_inputs():
        if info.name == "noise":
            feeds["noise"] = np.arange(16, dtype=np.float32)[None]
    return dict(zip(wanted, session.run(list(wanted.values()), feeds)))


def layer(state: np.ndarray) -> dict:
    magnitude = np.abs(state[0])
    flat = np.sort(magnitude, axis=None)
    largest = np.argsort(-magnitude, axis=None)[:3]
    token, dim = np.unravel_index(largest, magnitude.shape)
    return {
        "top": [{"value": float(state[0, t, d]), "token": int(t), "dim": int(d)} for t, d in zip(token, dim)],
        "median": float(flat[(flat.size - 1) // 2]),
        "tokenMax": magnitude.max(1).tolist(),
        "tokenMaxDim": magnitude.argmax(1).tolist(),
    }


def rounded(value):
    if isinstance(value, float):
        return float(f"{value:.7g}")
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    return [rounded(part) for part in value] if isinstance(value, list) else value


def main() -> None:
    results = []
    for fixture, file, processor in CASES:
        picture = ImageOps.exif_transpose(Image.open(ROOT / "test/references/images" / file)).convert("RGB")
        pixels = processor(picture, return_tensors="np")["pixel_values"].astype(np.float32)
        values = run(fixture, pixels)
        states = [values[name] for name in sorted(values) if name.startswith("hidden")]
        patterns = [values[name] for name in sorted(values) if name.startswith("attn")]
        results.append(
            {
                "fixture": fixture,
                "file": file,
                "config": {key: value for key, value in processor.to_dict().items() if not key.startswith("_")},
                "picture": {"width": picture.width, "height": picture.height},
                "tokens": states[0].shape[1],
                "layers": rounded([layer(state) for state in states]),
                # Every query sees every key.
                "alpha": rounded([pattern[0].astype(np.float64).mean(1).tolist() for pattern in patterns]),
            }
        )
    (ROOT / "test/references/pictures.json").write_text(json.dumps(results) + "\n")


if __name__ == "__main__":
    main()
