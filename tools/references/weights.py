"""What NumPy says of the numbers in some weights: `python tools/references/weights.py` writes test/references/weights.json.

Needs numpy and onnx.
"""

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

root = Path(__file__).parents[2]

weights = [
    ("media/models/llama/model.onnx", "wte"),  # float16
    ("test/zoo/fixtures/gpt2-int8-dynamic/model.onnx", "transformer.h.0.attn.c_attn.weight_quantized"),
    ("test/zoo/fixtures/llama-genai-int4/model.onnx", "model.layers.0.mlp.down_proj.MatMul.weight_Q4"),
    ("test/zoo/fixtures/llama-genai-fp32/model.onnx", "model.layers.1.mlp.down_proj.MatMul.weight"),  # beside the file
]


def told(values: np.ndarray, dims) -> dict:
    """Of the population, in double precision."""
    x = values.astype(np.float64).ravel()
    finite = x[np.isfinite(x)]
    d = finite - finite.mean()
    order = np.argsort(-np.abs(x), kind="stable")[:16]
    magnitudes = np.abs(finite[finite != 0])
    octaves, counts = np.unique(np.floor(np.log2(magnitudes)).astype(int), return_counts=True)
    every = np.zeros(octaves[-1] - octaves[0] + 1, int)
    every[octaves - octaves[0]] = counts
    return {
        "count": x.size,
        "nonFinite": int(x.size - finite.size),
        "zeros": int((finite == 0).sum()),
        "min": finite.min(),
        "max": finite.max(),
        "mean": finite.mean(),
        "deviation": finite.std(),
        "kurtosis": (d**4).mean() / (d**2).mean() ** 2 - 3,
        "top": [{"value": x[at], "index": [int(i) for i in np.unravel_index(at, dims)]} for at in order],
        "octaves": {"from": int(octaves[0]), "counts": every.tolist()},
    }


def waves(n: int) -> np.ndarray:
    """Any numbers that another program can make: far from 0, with a few outliers."""
    i = np.arange(n, dtype=np.float64)
    return 1000 + np.sin(i) * np.where(i % 997 == 5, 200, 1)


references = []
for file, name in weights:
    model = onnx.load(root / file)
    tensor = next(t for t in model.graph.initializer if t.name == name)
    references.append({"file": file, "name": name, **told(numpy_helper.to_array(tensor), tensor.dims)})
long = told(waves(100_000), [100_000])
(root / "test/references/weights.json").write_text(json.dumps({"weights": references, "waves": long}) + "\n")
