"""Caches of keys and values in forms that decoders of one's own have: tokens before everything, all layers in one tensor,
keys turned, and layers that keep different numbers of heads; and transformers' own cache of a declared length."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F
from transformers import StaticCache

from capture import Capture
from cases import LAYERS as MODULES, LLAMA, build
from export import VOCABULARY, Case
from layouts import Recorder, recorded

HIDDEN, HEADS, DIM, LAYERS, LENGTH = 32, 4, 8, 3, 12


def turned(x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    angles = positions[:, None] / 10000 ** (torch.arange(0, DIM, 2) / DIM)
    cos, sin = torch.cat([angles.cos()] * 2, -1), torch.cat([angles.sin()] * 2, -1)
    return x * cos + torch.cat([-x[..., DIM // 2 :], x[..., : DIM // 2]], -1) * sin


class Block(nn.Module):
    def __init__(self, heads: int, window: int | None):
        super().__init__()
        self.heads, self.window = heads, window
        self.norm, self.norm2 = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.q, self.o = nn.Linear(HIDDEN, HEADS * DIM), nn.Linear(HEADS * DIM, HIDDEN)
        self.k, self.v = nn.Linear(HIDDEN, heads * DIM), nn.Linear(HIDDEN, heads * DIM)
        self.up, self.down = nn.Linear(HIDDEN, 64), nn.Linear(64, HIDDEN)

    def forward(self, x, past, positions, see):
        rows = self.norm(x)
        query, key, value = (
            product(rows).unflatten(-1, (-1, DIM)).transpose(1, 2) for product in (self.q, self.k, self.v)
        )
        key, value = torch.cat([past[0], turned(key, positions)], 2), torch.cat([past[1], value], 2)
        shared = HEADS // self.heads
        scores = turned(query, positions) @ key.repeat_interleave(shared, 1).transpose(-1, -2) / DIM**0.5
        behind = positions[:, None] - torch.arange(key.shape[2])
        seen = behind >= 0 if self.window is None else (behind >= 0) & (behind < self.window)
        pattern = scores.masked_fill(~seen, -1e9).softmax(-1)
        see(pattern)
        x = x + self.o((pattern @ value.repeat_interleave(shared, 1)).transpose(1, 2).flatten(2))
        return x + self.down(F.gelu(self.up(self.norm2(x)))), (key, value)


# By form: its inputs to a pair for each layer of [batch, heads, tokens, dims], back, and the axis of tokens of each.
FORMS = {
    "tokens-first": (
        lambda past: [[part.permute(1, 2, 0, 3) for part in past[2 * i : 2 * i + 2]] for i in range(LAYERS)],
        lambda pairs: [part.permute(2, 0, 1, 3) for pair in pairs for part in pair],
        lambda _: 0,
    ),
    "stacked": (
        lambda past: [(past[0][i, 0], past[0][i, 1]) for i in range(LAYERS)],
        lambda pairs: [torch.stack([torch.stack(pair) for pair in pairs])],
        lambda _: 4,
    ),
    "keys-turned": (
        lambda past: [(past[2 * i].transpose(2, 3), past[2 * i + 1]) for i in range(LAYERS)],
        lambda pairs: [part for key, value in pairs for part in (key.transpose(2, 3), value)],
        lambda i: 2 + (i + 1) % 2,
    ),
    "heads-by-layer": (
        lambda past: [past[2 * i : 2 * i + 2] for i in range(LAYERS)],
        lambda pairs: [part for pair in pairs for part in pair],
        lambda _: 2,
    ),
}


class Decoder(Recorder):
    """Rotary; its last layer sees a window of six tokens, of a cache that keeps all."""

    def __init__(self, form: str):
        super().__init__()
        self.take, self.give, self.axis = FORMS[form]
        self.kept = [4, 2, 1] if form == "heads-by-layer" else [2] * LAYERS
        self.embed = nn.Embedding(VOCABULARY, HIDDEN)
        self.blocks = nn.ModuleList(Block(kept, 6 if i == LAYERS - 1 else None) for i, kept in enumerate(self.kept))
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, VOCABULARY, bias=False)

    def forward(self, input_ids, **past):
        pairs = self.take(list(past.values()))
        positions = pairs[0][0].shape[2] + torch.arange(input_ids.shape[1])
        x = self.embed(input_ids)
        self.see("hidden.0", x)
        given = []
        for i, (block, pair) in enumerate(zip(self.blocks, pairs)):
            x, new = block(x, pair, positions, lambda pattern, i=i: self.see(f"attn.{i}", pattern, 3))
            self.see(f"hidden.{i + 1}", x)
            given.append(new)
        return Answer(self.head(self.norm(x)), self.give(given))

    def empty(self, tokens: int) -> dict:
        made = self.give([(torch.zeros(1, kept, tokens, DIM), torch.zeros(1, kept, tokens, DIM)) for kept in self.kept])
        return {f"past.{i}": value.contiguous() for i, value in enumerate(made)}


class Answer:
    def __init__(self, logits, presents):
        self.logits, self.presents = logits, presents


class Positional(nn.Module):
    def __init__(self, model: Decoder, names: list[str]):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *given):
        answer = self.model(**dict(zip(self.names, given)))
        return answer.logits, *answer.presents


def export(wrapped, inputs, head, path):
    """torch.onnx.export(dynamo=False, opset_version=17), with a cache"""
    model = wrapped.m
    names = list(inputs)
    behind = model.empty(5)
    axes = {name: {model.axis(i): "past"} for i, name in enumerate(behind)}
    torch.onnx.export(
        Positional(model, names),
        (inputs["input_ids"], *behind.values()),
        str(path),
        input_names=names,
        output_names=[head, *(f"present.{i}" for i in range(len(behind)))],
        dynamic_axes={"input_ids": {1: "tokens"}, **axes},
        opset_version=17,
        dynamo=False,
    )


PLACES = 16
STATIC = {**LLAMA, "hidden_size": HIDDEN, "intermediate_size": 48, "num_hidden_layers": LAYERS, "head_dim": DIM}


class Static(nn.Module):
    """A model with a StaticCache whose tensors and number of tokens are given, as transformers' own way to ExecuTorch."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, cache_position, *past):
        cache = StaticCache(config=self.model.config, max_cache_len=PLACES)
        cache.early_initialization(1, 2, DIM, torch.float32, "cpu")
        for i, layer in enumerate(cache.layers):
            layer.keys, layer.values = past[2 * i].clone(), past[2 * i + 1].clone()
            layer.cumulative_length = cache_position[0].clone()
        position_ids = cache_position[None]
        output = self.model(input_ids, position_ids=position_ids, past_key_values=cache, use_cache=True)
        return output.logits, *(part for layer in cache.layers for part in (layer.keys, layer.values))


def export_static(wrapped, inputs, head, path):
    """torch.onnx.export(dynamo=True), with a StaticCache"""
    past = [value for name, value in inputs.items() if name.startswith("past")]
    tokens = torch.export.Dim("tokens", min=1, max=PLACES)
    program = torch.onnx.export(
        Static(wrapped.m),
        (inputs["input_ids"][:, :3], inputs["cache_position"][:3], *past),
        dynamo=True,
        dynamic_shapes=({1: tokens}, {0: tokens}, tuple({} for _ in past)),
        input_names=list(inputs),
        output_names=[head, *(f"present.{i}" for i in range(len(past)))],
        external_data=False,
        verbose=False,
    )
    program.save(str(path))


def without_cache(model, inputs):
    return Capture(list(model.model.layers), ("post_attention_layernorm", "in"), "mlp.down_proj")(
        model, {"input_ids": inputs["input_ids"], "use_cache": False}
    )


def cases() -> Iterator[Case]:
    ids = torch.randint(0, VOCABULARY, (1, LENGTH), generator=torch.Generator().manual_seed(5))
    for form in FORMS:
        yield Case(
            f"cache-{form}-ts-op17",
            lambda form=form: Decoder(form),
            {"input_ids": ids, **Decoder(form).empty(0)},
            "blocks",
            export,
            golden=recorded,
        )
    past = {f"past.{i}": torch.zeros(1, 2, PLACES, DIM) for i in range(2 * LAYERS)}
    yield Case(
        "cache-static-dynamo-op18",
        build("llama", STATIC),
        {"input_ids": ids, "cache_position": torch.arange(LENGTH), **past},
        MODULES,
        export_static,
        golden=without_cache,
        facts={"ids": ids.flatten().tolist(), "kv_heads": 2},
    )
