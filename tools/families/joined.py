"""Rows of several streams that are joined behind blocks of their own, rows that join late, and attention and MLP whose
projections are one."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

import forms
from export import VOCABULARY, Case
from layouts import Recorder, recorded

HIDDEN, HEADS, DIM, WIDTH = 32, 4, 8, 48
PLACES, WORDS, LENGTH = 9, 5, 12


def heads(x):
    return x.unflatten(-1, (-1, DIM)).transpose(1, 2)


def weigh(q, k, v, causal: bool = False):
    """The pattern, and the values of all heads weighed by it."""
    scores = heads(q) @ heads(k).transpose(2, 3) / DIM**0.5
    if causal:
        places = torch.arange(q.shape[1], device=q.device)
        scores = scores.masked_fill(places > places[:, None], -1e9)
    pattern = scores.softmax(-1)
    return pattern, (pattern @ heads(v)).transpose(1, 2).flatten(2)


class Plain(nn.Module):
    """Attention, then an MLP."""

    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.packed, self.out = nn.Linear(HIDDEN, 3 * HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.up, self.down = nn.Linear(HIDDEN, WIDTH), nn.Linear(WIDTH, HIDDEN)

    def forward(self, h, see, layer):
        pattern, weighed = weigh(*self.packed(self.norm1(h)).chunk(3, -1))
        see(f"attn.{layer}", pattern, 3)
        h = h + self.out(weighed)
        see(f"resid_mid.{layer}", h)
        inner = F.gelu(self.up(self.norm2(h)))
        see(f"mlp.{layer}", inner)
        return h + self.down(inner)


class Single(nn.Module):
    """Attention and MLP read one product and are taken back by one (Flux's single blocks, ViT-22B)."""

    def __init__(self, keys: int = HIDDEN, causal: bool = False):
        super().__init__()
        self.sizes, self.causal = [HIDDEN, keys, keys, WIDTH], causal
        self.norm = nn.LayerNorm(HIDDEN)
        self.packed, self.out = nn.Linear(HIDDEN, sum(self.sizes)), nn.Linear(HIDDEN + WIDTH, HIDDEN)

    def forward(self, h, see, layer, gate=1.0):
        q, k, v, inner = self.packed(self.norm(h)).split(self.sizes, -1)
        pattern, weighed = weigh(q, k, v, self.causal)
        see(f"attn.{layer}", pattern, 3)
        inner = F.gelu(inner)
        see(f"mlp.{layer}", inner)
        return h + gate * self.out(torch.cat([weighed, inner], -1))


class Joint(nn.Module):
    """Two streams with weights of their own attend to the rows of both."""

    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(HIDDEN) for _ in range(4))
        self.packed = nn.ModuleList(nn.Linear(HIDDEN, 3 * HIDDEN) for _ in range(2))
        self.outs = nn.ModuleList(nn.Linear(HIDDEN, HIDDEN) for _ in range(2))
        self.ups = nn.ModuleList(nn.Linear(HIDDEN, WIDTH) for _ in range(2))
        self.downs = nn.ModuleList(nn.Linear(WIDTH, HIDDEN) for _ in range(2))

    def forward(self, *streams):
        packed = [layer(norm(h)) for layer, norm, h in zip(self.packed, self.norms, streams)]
        _, weighed = weigh(*torch.cat(packed, 1).chunk(3, -1))
        parts = weighed.split([h.shape[1] for h in streams], 1)
        streams = [h + out(part) for h, out, part in zip(streams, self.outs, parts)]
        return [h + down(F.gelu(up(norm(h)))) for h, norm, up, down in zip(streams, self.norms[2:], self.ups, self.downs)]


class Diffusion(Recorder):
    """A text and a latent: joint blocks (Flux) or blocks of each alone (Lumina), then blocks of both as one stream."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.words, self.places, self.time = nn.Linear(6, HIDDEN), nn.Linear(10, HIDDEN), nn.Linear(7, HIDDEN)
        self.joint = Joint() if kind == "flux" else None
        self.refiners = nn.ModuleList(Plain() for _ in range(2)) if kind == "refined" else None
        self.blocks = nn.ModuleList((Single if kind == "flux" else Plain)() for _ in range(3))
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, 10)

    def forward(self, text, latent, time):
        c, x = self.words(text), self.places(latent)
        ignored = lambda *_: None
        if self.joint is not None:
            c, x = self.joint(c, x)
        else:
            c, x = (block(h, ignored, 0) for block, h in zip(self.refiners, (c, x)))
        gate = torch.tanh(self.time(time))[:, None]
        for layer, block in enumerate(self.blocks):
            h = torch.cat([c, x], 1)
            if layer == 0:
                self.see("hidden.0", h)
            h = block(h, self.see, layer, gate) if self.kind == "flux" else block(h, self.see, layer)
            self.see(f"hidden.{layer + 1}", h)
            # Apart again after each block, as diffusers has it.
            c, x = h[:, : text.shape[1]], h[:, text.shape[1] :]
        return self.head(self.norm(x))


class Late(Recorder):
    """A class token joins behind the blocks of the patches (XCiT)."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, HIDDEN, 8, 8)
        self.places = nn.Parameter(torch.randn(1, PLACES, HIDDEN))
        self.token = nn.Parameter(torch.randn(1, 1, HIDDEN))
        self.blocks, self.ends = (nn.ModuleList(Plain() for _ in range(2)) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, 10)

    def forward(self, pixel_values):
        h = self.patches(pixel_values).flatten(2).transpose(1, 2) + self.places
        self.see("hidden.0", h)
        for layer, block in enumerate(self.blocks):
            h = block(h, self.see, layer)
            self.see(f"hidden.{layer + 1}", h)
        h = torch.cat([self.token.expand(h.shape[0], -1, -1), h], 1)
        for block in self.ends:
            h = block(h, lambda *_: None, 0)
        return self.head(self.norm(h)[:, 0])


class Packed(Recorder):
    """A decoder whose queries, one head of keys and values, and MLP are one product."""

    def __init__(self):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(32, HIDDEN)
        self.blocks = nn.ModuleList(Single(DIM, causal=True) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, VOCABULARY, bias=False)

    def forward(self, input_ids):
        h = self.wte(input_ids) + self.wpe(torch.arange(input_ids.shape[1], device=input_ids.device))
        self.see("hidden.0", h)
        for layer, block in enumerate(self.blocks):
            h = block(h, self.see, layer)
            self.see(f"hidden.{layer + 1}", h)
        return self.head(self.norm(h))


def cases() -> Iterator[Case]:
    generator = torch.Generator().manual_seed(1)
    floats = lambda *shape: torch.randn(*shape, generator=generator)
    both = {"text": floats(1, WORDS, 6), "latent": floats(1, PLACES, 10), "time": floats(1, 7)}
    ids = {"input_ids": torch.randint(0, VOCABULARY, (1, LENGTH), generator=generator)}
    kinds = {
        "flux": (lambda: Diffusion("flux"), both, {"stream": "joined"}, True),
        "refined": (lambda: Diffusion("refined"), both, {"stream": "joined"}, False),
        "late": (Late, {"pixel_values": floats(1, 3, 24, 24)}, {}, False),
        "packed": (Packed, ids, {"kv_heads": 1}, True),
    }
    for kind, (model, inputs, facts, parallel) in kinds.items():
        parts = dict(inputs=inputs, blocks="", golden=recorded, facts=facts, parallel=parallel)
        yield Case(f"joined-{kind}-ts-op17", model, export=forms.torchscript(17), **parts)
        yield Case(f"joined-{kind}-dynamo-op18", model, export=forms.dynamo(18, static=kind != "packed"), **parts)
