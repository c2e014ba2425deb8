"""Writes int8 copies of the demo models, as docs/experiments.md compares them: python tools/quantise.py FOLDER

ONNX Runtime's dynamic quantisation of every MatMul with a weight: int8 weights, activations rounded to 8 bits with one
scale for the whole tensor. Weights use 7 of their 8 bits (`reduce_range`), without which sums of two products saturate
on x86 processors that lack VNNI instructions, and the same file gives other numbers there. Needs onnxruntime and onnx.
"""

import shutil
import sys
from pathlib import Path

import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic

MODELS = Path(__file__).parent.parent / "media" / "models"


def quantise(model: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    # The weights are halves behind casts; only what is a float initializer is quantised.
    folded = to / "folded.onnx"
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    onnxruntime.InferenceSession(model / "model.onnx", options, providers=["CPUExecutionProvider"])
    quantize_dynamic(
        folded, to / "model.onnx", weight_type=QuantType.QInt8, op_types_to_quantize=["MatMul"], reduce_range=True
    )
    folded.unlink()
    for file in model.glob("*.json"):
        shutil.copy(file, to)


if __name__ == "__main__":
    for demo in sorted(MODELS.iterdir()):
        if demo.is_dir():
            quantise(demo, Path(sys.argv[1]) / f"{demo.name}-int8")
