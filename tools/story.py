"""The end of the doctor's story: what it says to exclude is excluded, and the file gives what it said.

    npm run build && python tools/story.py [MODEL.onnx] [--schemes int8-dynamic int4-block32] [--tokens 510] [--text FILE]

Asks `sinkscope doctor` for the list, makes the file with ONNX Runtime's own quantisers and that list, and runs both whole
in ONNX Runtime. Ends with 1 unless the file's KL divergence is within 5 % of what was said and under a quarter of what it
is without the list. Without MODEL it is the demo model `llama`. Files of bytes are run as this processor runs them, which
is how the doctor sees them too: without VNNI instructions their sums saturate. Needs onnxruntime, onnx and tokenizers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx.external_data_helper import load_external_data_for_model
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from tokenizers import Tokenizer

ROOT = Path(__file__).parent.parent
LLAMA = ROOT / "media/models/llama/model.onnx"
BOATS = ROOT / "test/text/three-men-in-a-boat.md"


def doctor(model: Path, scheme: str, text: Path, tokens: int, save: Path) -> dict:
    asked = ["doctor", model, "--scheme", scheme, "--file", text, "--tokens", tokens, "--save", save, "--json"]
    told = subprocess.run(["node", ROOT / "dist/cli.js", *map(str, asked)], stdout=subprocess.PIPE, check=True)
    return json.loads(told.stdout)


def folded(model: Path, to: Path) -> Path:
    """The model with its weights as float initializers, which is what quantisers take."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(to / "folded.onnx")
    onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    # Weights that lie beside the model are still looked for beside the file.
    folded = onnx.load(to / "folded.onnx", load_external_data=False)
    load_external_data_for_model(folded, str(model.parent))
    onnx.save(folded, to / "folded.onnx", save_as_external_data=True, location="folded.onnx.data")
    return to / "folded.onnx"


def quantised(model: Path, scheme: str, exclude: list[str], to: Path) -> Path:
    if scheme.startswith("int8"):
        channels = scheme == "int8-channel"
        options = {"weight_type": QuantType.QInt8, "op_types_to_quantize": ["MatMul"], "per_channel": channels}
        quantize_dynamic(model, to, nodes_to_exclude=exclude, use_external_data_format=True, **options)
    else:
        size = int(scheme.removeprefix("int4-block"))
        quantizer = MatMulNBitsQuantizer(onnx.load(model), block_size=size, is_symmetric=True, nodes_to_exclude=exclude)
        quantizer.process()
        onnx.save(quantizer.model.model, to, save_as_external_data=True)
    return to


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float64) - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def kld(reference: Path, model: Path, sequences: list[list[int]]) -> float:
    sessions = [onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"]) for file in (reference, model)]
    found = []
    for ids in sequences:
        feeds = {"input_ids": np.array([ids], np.int64)}
        p, q = (log_softmax(session.run(["logits"], feeds)[0][0][:-1]) for session in sessions)
        found.append((np.exp(p) * (p - q)).sum(-1))
    return float(np.concatenate(found).mean())


def sequences(model: Path, text: Path, told: dict) -> list[list[int]]:
    """The windows that the doctor says it took."""
    tokenizer = Tokenizer.from_file(str(model.parent / "tokenizer.json"))
    prefix = [] if told["prefix"] is None else [told["prefix"]]
    piece = told["window"] - len(prefix)
    written = text.read_bytes().decode()
    read = written.replace("\r\n", "\n").replace("\r", "\n") if told["line_ends"] == "lf" else written
    ids = tokenizer.encode(read, add_special_tokens=False).ids
    return [prefix + ids[i : i + piece] for i in range(0, told["tokens"] // (piece + len(prefix) - 1) * piece, piece)]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path, nargs="?", default=LLAMA)
    parser.add_argument("--schemes", nargs="+", default=["int8-dynamic", "int4-block32"])
    parser.add_argument("--text", type=Path, default=BOATS)
    parser.add_argument("--tokens", type=int, default=510)
    given = parser.parse_args()
    held = True
    for scheme in given.schemes:
        with tempfile.TemporaryDirectory() as folder:
            to = Path(folder)
            told = doctor(given.model, scheme, given.text, given.tokens, to / "exclude.json")
            # Beside the names of the products those that quantize_dynamic has given to Gemms by then.
            exclude = json.loads((to / "exclude.json").read_text())["nodes_to_exclude"]
            windows = sequences(given.model, given.text, told)
            source = folded(given.model, to)
            before = kld(given.model, quantised(source, scheme, [], to / "whole.onnx"), windows)
            after = kld(given.model, quantised(source, scheme, exclude, to / "rest.onnx"), windows)
        # Without what is kept nothing may be quantised at all.
        off = abs(after - told["kld_after"]) / (told["kld_after"] or 1)
        held = held and off < 0.05 and after < before / 4
        print(f"{scheme}: {before:.4g} nats; the doctor excludes {len(told['exclude'])} products and says {told['kld_after']:.4g},")
        print(f"  the file without them gives {after:.4g}, {100 * off:.1f} % off and {after / before:.3f} of what it was")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
