"""Exports the demo models once more, with a cache, as files that take their weights from those without one.

    python cached.py [--models media/models]

Weights are read from <model>/model.onnx, and <model>/model_cached.onnx names the places in that file where they lie, as
external data: it holds the graph alone. Checked against PyTorch on whole texts and at several places where they can be
cut in two.
"""

import argparse
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from model import MODELS, Attention, Decoder, rotary
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/references"))

from reference import load, prefix_of, text_ids  # noqa: E402

TOLERANCE = 1e-5
SMALL = 1024  # bytes up to which a constant stays in the graph


class Cached(nn.Module):
    """input_ids [batch, n] and for each block past keys (rotated) and values [batch, heads, p, head_dim]."""

    def __init__(self, model: Decoder):
        super().__init__()
        self.model = model

    def attend(self, attn: Attention, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, past: tuple[Tensor, Tensor]):
        half = attn.head_dim // 2
        q, k, v = attn.split(attn.q(x)), attn.split(attn.k(x)), attn.split(attn.v(x))
        q = rotary(q, half, cos, sin)
        key = torch.cat([past[0], rotary(k, half, cos, sin)], dim=2)
        value = torch.cat([past[1], v], dim=2)
        k, v = key, value
        if attn.k_bias is not None:
            k = torch.cat([attn.k_bias.float().expand(x.shape[0], -1, -1, -1), k], dim=2)
            v = torch.cat([attn.v_bias.float().expand(x.shape[0], -1, -1, -1), v], dim=2)
        pattern = torch.softmax(q @ k.transpose(-1, -2) * attn.head_dim**-0.5 + mask, dim=-1)
        out = (pattern @ v).transpose(1, 2).reshape(x.shape[0], -1, attn.heads * attn.head_dim)
        return attn.proj(out), key, value

    def forward(self, input_ids: Tensor, *past: Tensor):
        model = self.model
        before = past[0].shape[2]
        positions = torch.arange(before + input_ids.shape[1])
        own = positions[before:]
        angles = own[:, None].float() * model.frequencies
        cos, sin = angles.cos(), angles.sin()
        keys = positions
        if model.config.key_value_bias:
            keys = torch.cat([torch.zeros(1, dtype=positions.dtype), positions])
        mask = torch.where(keys[None, :] > own[:, None], float("-inf"), 0.0)
        h = model.wte[input_ids].float()
        if model.wpe is not None:
            h = h + model.wpe[own].float()
        presents = []
        for k, block in enumerate(model.blocks):
            out, key, value = self.attend(block.attn, block.n1(h), cos, sin, mask, (past[2 * k], past[2 * k + 1]))
            presents += [key, value]
            h = h + out
            h = h + block.mlp(block.n2(h), k, lambda _, tensor: tensor)
        return model.unembed(h, lambda _, tensor: tensor), *presents


def names_of(model: Decoder) -> tuple[list[str], list[str]]:
    parts = [f"{k}.{part}" for k in range(model.config.layers) for part in ("key", "value")]
    return [f"past_key_values.{part}" for part in parts], [f"present.{part}" for part in parts]


def export(model: Decoder, file: Path) -> onnx.ModelProto:
    pasts, presents = names_of(model)
    c = model.config
    past = tuple(torch.randn(2, c.heads, 4, c.head_dim) for _ in pasts)
    axes = {"input_ids": {0: "batch", 1: "sequence"}, "logits": {0: "batch", 1: "sequence"}}
    axes |= {name: {0: "batch", 2: "past_sequence"} for name in pasts}
    axes |= {name: {0: "batch", 2: "total_sequence"} for name in presents}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Cached(model),
            (torch.tensor([[5, 6, 7], [8, 9, 10]]), *past),
            file,
            dynamo=False,
            opset_version=17,
            do_constant_folding=False,
            input_names=["input_ids", *pasts],
            output_names=["logits", *presents],
            dynamic_axes=axes,
        )
    return onnx.load(file)


def share(exported: onnx.ModelProto, whole: Path) -> None:
    """Large constants become places in `whole`, which has the same bytes there."""
    data = whole.read_bytes()
    for tensor in exported.graph.initializer:
        raw = onnx.numpy_helper.to_array(tensor).tobytes()
        if len(raw) <= SMALL:
            continue
        offset = data.find(raw)
        if offset < 0:
            raise SystemExit(f"{whole} does not hold {tensor.name}")
        for field in ("raw_data", "float_data", "int32_data"):
            tensor.ClearField(field)
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", whole.name), ("offset", offset), ("length", len(raw))):
            tensor.external_data.add(key=key, value=str(value))


def check(model: Decoder, file: Path, ids: list[int]) -> float:
    """Largest |ONNX − PyTorch| / max |PyTorch| of the logits, whatever part of the text comes from the cache."""
    c = model.config
    pasts, _ = names_of(model)
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    expected = model(torch.tensor([ids])).numpy()
    worst = 0.0
    for cuts in ((len(ids),), (1, len(ids)), (len(ids) // 2, len(ids) - 1, len(ids))):
        cache = [np.zeros((1, c.heads, 0, c.head_dim), np.float32) for _ in pasts]
        start = 0
        for end in cuts:
            feeds = dict(zip(pasts, cache, strict=True)) | {"input_ids": np.array([ids[start:end]])}
            logits, *cache = session.run(None, feeds)
            error = float(np.abs(logits - expected[:, start:end]).max() / np.abs(expected).max())
            worst = max(worst, error)
            start = end
    if not worst <= TOLERANCE:
        raise SystemExit(f"{file}: the logits differ from PyTorch by {worst:.1e} of the largest")
    return worst


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=Path, default=ROOT / "media/models")
    arguments = parser.parse_args()
    for name in MODELS:
        model, folder = load(name), arguments.models / name
        file = folder / "model_cached.onnx"
        with tempfile.TemporaryDirectory() as temporary:
            exported = export(model, Path(temporary) / "model.onnx")
        share(exported, folder / "model.onnx")
        onnx.save(exported, file)
        onnx.checker.check_model(str(file), full_check=False)
        ids = (prefix_of(name) + text_ids("test/text/pit-and-pendulum.md"))[:128]
        print(f"{name}: {file.stat().st_size / 1e3:.0f} kB, error {check(model, file, ids):.1e}")


if __name__ == "__main__":
    main()
