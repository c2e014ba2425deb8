"""Writes test/references/static/: files of static ranges, and what they cost without some of their products.

Each file is quantised by ONNX Runtime whole, and once more without each of some lists of nodes; of the latter the KLD
alone is kept. Weights have 7 bits, so that no processor's sums saturate. The protocol is in test/references/README.md.
"""

import json
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from reference import ROOT

FOLDER = ROOT / "test/references/static"
TINY = "test/references/overflow/float.onnx"
CALM = "test/references/static/float.onnx"
GPT2 = "test/zoo/fixtures/gpt2-ts-op14/model.onnx"
# Model, format, what is quantised, type, vocabulary, tokens.
FILES = {
    "qdq": (TINY, QuantFormat.QDQ, ["MatMul"], QuantType.QInt8, 24, 8),
    "qoperator": (TINY, QuantFormat.QOperator, ["MatMul"], QuantType.QUInt8, 24, 8),
    "qdq-sums": (CALM, QuantFormat.QDQ, ["MatMul", "Add"], QuantType.QInt8, 24, 8),
    "qgemm": (GPT2, QuantFormat.QOperator, ["MatMul", "Gemm"], QuantType.QUInt8, 90, 20),
}


class Texts(CalibrationDataReader):
    def __init__(self, session: onnxruntime.InferenceSession, vocabulary: int, tokens: int):
        draw = np.random.default_rng(0)
        self.left = [feeds(session, [0, *draw.integers(0, vocabulary, tokens - 1)]) for _ in range(4)]

    def get_next(self) -> dict | None:
        return self.left.pop() if self.left else None


def feeds(session: onnxruntime.InferenceSession, ids: list[int]) -> dict:
    given = np.array([ids], np.int64)
    return {i.name: given if i.name == "input_ids" else np.ones_like(given) for i in session.get_inputs()}


def opened(model: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def logarithms(session: onnxruntime.InferenceSession, ids: list[int]) -> np.ndarray:
    x = session.run(["logits"], feeds(session, ids))[0][0].astype(np.float64)
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def lists(model: Path) -> list[list[str]]:
    """Products that read the same together: in QDQ files what one of them rounds is rounded for all."""
    graph = onnx.load(model).graph
    weights = {one.name for one in graph.initializer}
    reading: dict[str, list[str]] = {}
    for node in graph.node:
        if node.op_type in ("MatMul", "Gemm") and node.input[1] in weights:
            reading.setdefault(node.input[0], []).append(node.name)
    return list(reading.values())


def calm() -> onnx.ModelProto:
    """The tiny decoder without its massive activation, beside which all sums are nothing."""
    model = onnx.load(ROOT / TINY)
    for weight in model.graph.initializer:
        if weight.name == "/blocks.0/down.weight":
            values = numpy_helper.to_array(weight).copy()
            values[7, 3] = 0
            weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    return model


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    onnx.save(calm(), ROOT / CALM)
    reference = []
    for name, (path, form, kinds, kind, vocabulary, tokens) in FILES.items():
        model = ROOT / path
        session = opened(model)
        # Epsilons and masks are lost among bytes.
        kept = [node.name for node in onnx.load(model).graph.node if node.name.endswith(("/Add", "/Mask"))]
        ids = [7 * i % vocabulary for i in range(tokens)]
        expected = logarithms(session, ids)

        def kld(to: Path, exclude: list[str]) -> float:
            quantize_static(
                model,
                to,
                Texts(session, vocabulary, tokens),
                quant_format=form,
                op_types_to_quantize=kinds,
                nodes_to_exclude=[*kept, *exclude],
                activation_type=kind,
                weight_type=kind,
                reduce_range=True,
            )
            found = logarithms(opened(to), ids)
            return float((np.exp(expected) * (expected - found)).sum(-1)[:-1].mean())

        whole = kld(FOLDER / f"{name}.onnx", [])
        with tempfile.TemporaryDirectory() as scratch:
            excluded = [{"nodes": nodes, "kld": kld(Path(scratch) / "model.onnx", nodes)} for nodes in lists(model)]
        reference.append({"name": name, "reference": path, "ids": ids, "kld": whole, "excluded": excluded})
    (FOLDER / "reference.json").write_text(json.dumps(reference, indent=1) + "\n")


if __name__ == "__main__":
    main()
