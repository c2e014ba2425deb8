"""Small models in plain PyTorch for what no Hugging Face family (or none that exports) has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from onnx import helper
from torch import nn

import forms
from export import VOCABULARY, Case

HIDDEN, HEADS, WIDTH = 64, 4, 96


class Probabilities(nn.Module):
    """Attention scores to probabilities, by one operator or by several."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind

    def forward(self, scores):
        if self.kind == "softmax":
            return torch.softmax(scores, -1)
        exponentials = torch.exp(scores - scores.amax(-1, keepdim=True).clamp(min=0 if self.kind == "off-by-one" else -1e30))
        total = exponentials.sum(-1, keepdim=True)
        if self.kind == "off-by-one":
            total = total + torch.exp(-scores.amax(-1, keepdim=True).clamp(min=0))
        return exponentials / total


class Adapted(nn.Module):
    """A linear layer with a low-rank adapter that is not merged."""

    def __init__(self, rows: int, columns: int, rank: int = 4):
        super().__init__()
        self.base, self.a, self.b = nn.Linear(rows, columns), nn.Linear(rows, rank, False), nn.Linear(rank, columns, False)

    def forward(self, x):
        return self.base(x) + 2.0 * self.b(self.a(x))


class Block(nn.Module):
    def __init__(self, layer: int, options: dict):
        super().__init__()
        linear = Adapted if options.get("adapters") else nn.Linear
        self.layer, self.options = layer, options
        self.norm1, self.norm2 = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.q, self.k, self.v = linear(HIDDEN, HIDDEN), linear(HIDDEN, HIDDEN), linear(HIDDEN, HIDDEN)
        self.o = nn.Linear(HIDDEN, HIDDEN)
        self.probabilities = Probabilities(options.get("softmax", "softmax"))
        if not options.get("attention_only"):
            self.up, self.down = linear(HIDDEN, WIDTH), linear(WIDTH, HIDDEN)
        self.gate = nn.Parameter(torch.ones(1))

    def forward(self, h, shared: dict, skip=None):
        options = self.options
        if skip is not None:
            h = h + self.gate * skip
        x = self.norm1(h)
        split = lambda value: value.view(value.shape[0], value.shape[1], HEADS, -1).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        if options.get("value_residual"):
            v = 0.5 * v + 0.5 * shared.setdefault("v", v)
        if options.get("shared_keys"):
            k, v = shared.setdefault("kv", (k, v))
        scores = q @ k.transpose(2, 3) / (HIDDEN / HEADS) ** 0.5
        length = scores.shape[-1]
        mask = torch.ones(length, length, dtype=torch.bool, device=h.device).tril()
        pattern = self.probabilities(scores.masked_fill(~mask, -1e9))
        attended = self.o((pattern @ v).transpose(1, 2).reshape(h.shape))
        if options.get("parallel"):
            return h + attended + self.down(torch.relu(self.up(self.norm2(h))))
        h = h + attended
        if options.get("attention_only"):
            return h
        return h + self.down(torch.nn.functional.gelu(self.up(self.norm2(h))))


class Model(nn.Module):
    def __init__(self, layers: int = 2, **options):
        super().__init__()
        self.options = options
        self.wte, self.wpe = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(64, HIDDEN)
        self.blocks = nn.ModuleList(Block(layer, options) for layer in range(layers))
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, VOCABULARY, bias=False)

    def forward(self, input_ids):
        h = self.wte(input_ids) + self.wpe(torch.arange(input_ids.shape[1], device=input_ids.device))[None]
        shared, states = {}, []
        for layer, block in enumerate(self.blocks):
            late = self.options.get("skips") and layer >= (len(self.blocks) + 1) // 2
            h = block(h, shared, states[len(self.blocks) - 1 - layer] if late else None)
            states.append(h)
        if self.options.get("last_only"):
            h = h[:, -1:]
        return self.head(self.norm(h))


def outlined(path: Path):
    """Every LayerNormalization and MatMul becomes a call of a model-local function, one of them nested."""
    model = onnx.load(path)
    opsets = list(model.opset_import)
    for op, inputs in (("MatMul", ["a", "b"]), ("LayerNormalization", ["x", "scale", "bias"])):
        body = [helper.make_node(op, inputs, ["y"])]
        model.functions.append(helper.make_function("local", op, inputs, ["y"], body, opsets))
    call = [helper.make_node("MatMul", ["a", "b"], ["product"], domain="local"), helper.make_node("Add", ["product", "c"], ["y"])]
    with_local = [*opsets, helper.make_opsetid("local", 1)]
    model.functions.append(helper.make_function("local", "Linear", ["a", "b", "c"], ["y"], call, with_local))
    for node in model.graph.node:
        if node.op_type in ("MatMul", "LayerNormalization"):
            node.domain = "local"
            del node.attribute[:]
    model.opset_import.append(helper.make_opsetid("local", 1))
    onnx.save(model, path)


def cases() -> Iterator[Case]:
    ids = {"input_ids": torch.randint(0, VOCABULARY, (1, 12), generator=torch.Generator().manual_seed(1))}
    variants = {
        "plain": {},
        "one-layer": {"layers": 1},
        "attention-only": {"layers": 2, "attention_only": True},
        "one-attention": {"layers": 1, "attention_only": True},
        "one-parallel": {"layers": 1, "parallel": True},
        "softmax-apart": {"softmax": "apart"},
        "softmax-off-by-one": {"softmax": "off-by-one"},
        "adapters": {"adapters": True},
        "value-residual": {"value_residual": True},
        "shared-keys": {"shared_keys": True},
        "skips": {"layers": 3, "skips": True},
        "last-only": {"last_only": True},
    }
    for name, options in variants.items():
        only = options.get("attention_only")
        parts = dict(
            inputs=ids,
            blocks="blocks",
            mid=None if options.get("parallel") or only else ("norm2", "in"),
            down=None if only else "down",
            pattern="probabilities",
            parallel=bool(options.get("parallel")),
            facts={"kv_heads": HEADS},
        )
        make = lambda options=options: Model(**options)
        yield Case(f"module-{name}-ts-op17", make, export=forms.torchscript(17), **parts)
        yield Case(f"module-{name}-dynamo-op18", make, export=forms.dynamo(18), **parts)
        if name == "plain":
            yield Case("module-functions", make, export=forms.torchscript(17), after=outlined, **parts)
            yield Case("module-saved-all", make, export=forms.torchscript(17), after=forms.ort_saved("all"), **parts)
