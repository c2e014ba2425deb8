"""Writes test/references/schemes.json: what schemes of the doctor and its remedies cost `llama`, by PyTorch and ONNX Runtime.

Needs onnxconverter-common==1.16.0 beside tools/demo-models/requirements.txt. Every protocol is in
test/references/README.md.
"""

import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from onnxconverter_common.float16 import convert_float_to_float16
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_dynamic, quantize_static
from quantised import BOATS, FIXTURES, File, demo_residuals, demo_sequences, fixture, folded, log_softmax, mean_kld
from reference import ROOT, Decoder, load, prefix_of, text_ids, write

PIT = "test/text/pit-and-pendulum.md"
MODEL, TOKENS, WINDOW = "llama", 510, 256
Rule = Callable[[torch.Tensor, torch.Tensor, str], torch.Tensor]


def windows(file: str, tokens: int = TOKENS, window: int = WINDOW) -> list[list[int]]:
    prefix = prefix_of(MODEL)
    piece = window - len(prefix)
    ids = text_ids(file, tokens)
    return [prefix + ids[i : i + piece] for i in range(0, len(ids) - piece + 1, piece)]


def products(model: Decoder) -> list[tuple[str, object]]:
    found = []
    for k, block in enumerate(model.blocks):
        owners = [(block.attn, n, "attn_in" if n != "proj" else "attn_out") for n in ("q", "k", "v", "proj")]
        owners += [(block.mlp, n, "mlp_in" if n != "down" else "mlp_out") for n in ("gate", "up", "down")]
        found += [(f"{part}.{k}", getattr(owner, name)) for owner, name, part in owners]
    return found


def under(rule: Rule, model: Decoder | None = None) -> Decoder:
    """The model, or a smoothed one, with every product of an activation [batch, T, D] with a weight made by `rule`, which is told what is read."""
    model = model or load(MODEL)
    head = getattr(model, "head", model.wte.float().T)
    for name, matrix in products(model):
        matrix.forward = lambda x, name=name, matrix=matrix: rule(x, matrix.weight.float(), name)
    model.unembed = lambda h, tap=None: rule(model.norm(h), head, "head")
    return model


def logits(model: Decoder, ids: list[int]) -> torch.Tensor:
    return torch.log_softmax(model(torch.tensor([ids]))[0].double(), -1)


def measure(rule: Rule, lead: list[int] | None = None, float_model: Decoder | None = None) -> dict:
    """Mean KLD and perplexity over the windows, `lead` before each in the quantised model alone."""
    lead = lead or []
    reference, model = load(MODEL), under(rule, float_model)
    klds, losses = [], []
    for ids in windows(BOATS):
        p, q = logits(reference, ids)[:-1], logits(model, lead + ids)[len(lead) : -1]
        klds += (p.exp() * (p - q)).sum(-1).tolist()
        losses += (-q[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]).tolist()
    return {"kld": float(np.mean(klds)), "perplexity": float(np.exp(np.mean(losses)))}


def int8(x: torch.Tensor, dim: int) -> torch.Tensor:
    scale = x.abs().amax(dim, keepdim=True) / 127
    return torch.round(x / scale) * scale


def fp8(x: torch.Tensor, dim: int | None = None) -> torch.Tensor:
    scale = (x.abs().amax() if dim is None else x.abs().amax(dim, keepdim=True)) / 448
    return (x / scale).clamp(-448, 448).to(torch.float8_e4m3fn).float() * scale


def kept(rule: Rule, rows: list[int]) -> Rule:
    """The rule with these rows as they are, and without a share in scales."""

    def product(x: torch.Tensor, w: torch.Tensor, name: str) -> torch.Tensor:
        others = x.clone()
        others[:, rows] = 0
        y = rule(others, w, name)
        y[:, rows] = x[:, rows] @ w
        return y

    return product


def factors(alpha: float) -> dict[str, torch.Tensor]:
    """SmoothQuant's (arXiv:2211.10438, equation 4) by what is read, maxima over the calibration windows."""
    most: dict[str, torch.Tensor] = {}
    weights: dict[str, torch.Tensor] = {}

    def rule(x: torch.Tensor, w: torch.Tensor, name: str) -> torch.Tensor:
        most[name] = torch.maximum(most.get(name, torch.zeros(())), x.abs().amax((0, 1)))
        weights[name] = torch.maximum(weights.get(name, torch.zeros(())), w.abs().amax(1))
        return x @ w

    model = under(rule)
    for ids in windows(PIT):
        model(torch.tensor([ids]))
    return {
        name: (most[name].clamp(min=1e-5) ** alpha / weights[name].clamp(min=1e-5) ** (1 - alpha)).clamp(min=1e-5)
        for name in most
        if not name.startswith("attn_out")
    }


def smoothed(by: dict[str, torch.Tensor]) -> Decoder:
    """The float model with factors folded: norms, and what gates are multiplied with, divided; weights multiplied."""
    model = load(MODEL)
    for name, matrix in products(model):
        if name in by:
            matrix.weight = torch.nn.Parameter(matrix.weight.float() * by[name][:, None])
    for k, block in enumerate(model.blocks):
        block.n1.weight /= by[f"attn_in.{k}"]
        block.n2.weight /= by[f"mlp_in.{k}"]
        block.mlp.up.weight /= by[f"mlp_out.{k}"]
    model.norm.weight /= by["head"]
    model.head = model.wte.float().T * by["head"][:, None]
    return model


class Reader(CalibrationDataReader):
    def __init__(self, sequences: list[list[int]], masked: bool = False):
        ids = [np.array([one], np.int64) for one in sequences]
        masks = [{"attention_mask": np.ones_like(one)} if masked else {} for one in ids]
        self.feeds = iter([{"input_ids": one, **mask} for one, mask in zip(ids, masks, strict=True)])

    def get_next(self) -> dict | None:
        return next(self.feeds, None)


def static(model: Path, to: Path, exclude: list[str]) -> float:
    """ONNX Runtime's own file; without graph optimisation its products are in single precision, so that none saturates."""
    quantize_static(model, to / "static.onnx", Reader(windows(PIT)), op_types_to_quantize=["MatMul", "Gemm"], nodes_to_exclude=exclude)
    reference = File(ROOT / "media/models" / MODEL / "model.onnx", demo_residuals(MODEL), False)
    return mean_kld(reference, File(to / "static.onnx", demo_residuals(MODEL), True), demo_sequences(MODEL, TOKENS, WINDOW))


def gemm(to: Path) -> dict:
    """The same of a model whose products are Gemm with biases, which the file has as 32-bit integers."""
    name = "gpt2-ts-op14"
    model = FIXTURES / name / "model.onnx"
    calibration = [[(11 * i + s) % 160 for i in range(20)] for s in range(3)]
    sequences = [[(7 * i + s) % 160 for i in range(20)] for s in range(3)]
    quantize_static(model, to / "gemm.onnx", Reader(calibration, True), op_types_to_quantize=["MatMul", "Gemm"])
    biases = [i for i in onnx.load(to / "gemm.onnx").graph.initializer if i.data_type == onnx.TensorProto.INT32 and len(i.dims)]
    kld = mean_kld(File(model, [], False), File(to / "gemm.onnx", [], True), sequences)
    return {"model": name, "calibration": calibration, "sequences": sequences, "biases": len(biases), "kld": kld}


def turned(to: Path) -> list[dict]:
    """quantize_dynamic makes a MatMul of each Gemm first, and looks for its name then. Weights have 7 bits."""
    sequences = [[(7 * i + s) % 160 for i in range(20)] for s in range(3)]
    rows = []
    for name in ("gpt2-ts-op14", "opt-optimum-past"):
        source = FIXTURES / name / "model.onnx"
        first = [n.name for n in onnx.load(source).graph.node if n.op_type == "Gemm"][-1]
        for channels, exclude in ((False, []), (True, []), (False, [first])):
            options = {"op_types_to_quantize": ["MatMul"], "weight_type": QuantType.QInt8, "reduce_range": True}
            names = [f"{one}_MatMul" for one in exclude]
            quantize_dynamic(source, to / "turned.onnx", per_channel=channels, nodes_to_exclude=names, **options)
            file = fixture(name, to / "turned.onnx")
            products = sum(n.op_type == "MatMulInteger" for n in onnx.load(to / "turned.onnx").graph.node)
            row = {"model": name, "perChannel": channels, "exclude": exclude, "products": products}
            rows.append({**row, "kld": mean_kld(fixture(name), file, sequences)})
    return rows


class MatMul(OpRun):
    """Sums in single precision, as processors do; NumPy's are in half precision."""

    op_domain = ""

    def _run(self, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray]:
        return ((a.astype(np.float32) @ b.astype(np.float32)).astype(a.dtype),)


def converted(model: Path, tokens: int, window: int) -> float:
    """A file whose products compute in fp16, and whose values are fp16 between all nodes, by ONNX's reference evaluator."""
    source = onnx.load(model)
    weights = {i.name for i in source.graph.initializer}
    others = [n.name for n in source.graph.node if not (n.op_type == "MatMul" and n.input[1] in weights)]
    # A table that is looked up in half precision already stays so.
    options = {"node_block_list": others, "keep_io_types": True, "check_fp16_ready": False}
    half = ReferenceEvaluator(convert_float_to_float16(source, **options), new_ops=[MatMul])
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    klds = []
    for ids in windows(BOATS, tokens, window):
        feeds = {"input_ids": np.array([ids], np.int64)}
        p, q = (log_softmax(run.run(None, feeds)[0][0].astype(np.float64))[:-1] for run in (session, half))
        klds += (np.exp(p) * (p - q)).sum(-1).tolist()
    return float(np.mean(klds))


def main() -> None:
    lead = [text_ids(BOATS, 1)[0], 5]
    token: Rule = lambda x, w, _: int8(x, -1) @ int8(w, 0)
    tensor: Rule = lambda x, w, _: fp8(x) @ fp8(w)
    half: Rule = lambda x, w, _: (x.half().float() @ w.clamp(-65504, 65504).half().float()).half().float()
    folder = Path(tempfile.mkdtemp())
    try:
        model = folded(MODEL, folder)
        down = "/blocks.1/mlp/down/MatMul"
        attention = ["/blocks.1/attn/q/MatMul", "/blocks.1/attn/k/MatMul"]
        content = {
            "windows": {"file": BOATS, "calibration": PIT, "maxTokens": TOKENS, "window": WINDOW},
            "schemes": {
                "int8-token": measure(token),
                "fp16": measure(half),
                "fp8": measure(tensor),
                "fp8-token": measure(lambda x, w, _: fp8(x, -1) @ fp8(w, 0)),
            },
            "static": [{"exclude": e, "kld": static(model, folder, e)} for e in ([], [down], attention)],
            "gemm": gemm(folder),
            "turned": turned(folder),
            "converted": {"maxTokens": 62, "window": 32, "kld": converted(model, 62, 32)},
            "kept": {"scheme": "fp8", "rows": [0], **measure(kept(tensor, [0]))},
            "lead": {"scheme": "fp8", "ids": lead, "rows": [0, 1, 2], **measure(kept(tensor, [0, 1, 2]), lead)},
            "smooth": [{"scheme": "fp8", "alpha": a, **measure(tensor, None, smoothed(factors(a)))} for a in (0.5, 0.8)],
            "factors": {name: by[:4].tolist() for name, by in factors(0.5).items()},
        }
    finally:
        shutil.rmtree(folder)
    write("test/references/schemes.json", content)


if __name__ == "__main__":
    sys.exit(main())
