"""Where a token's vector and a sequence's tokens lie: channels before tokens, rows that are no ids, rows that are taken
apart for some attentions, several inputs taken in turn."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

import forms
from export import VOCABULARY, Case

HIDDEN, HEADS, DIM, WIDTH, LENGTH = 64, 4, 16, 96, 12


class Recorder(nn.Module):
    """Keeps what is shown of a forward pass, as [rows, D] of the first example; traced, it does nothing."""

    def __init__(self):
        super().__init__()
        self.tensors: dict[str, torch.Tensor] | None = None

    def see(self, name: str, value: torch.Tensor, rank: int = 2):
        if self.tensors is not None:
            value = value.detach().float()
            self.tensors[name] = value.reshape(-1, *value.shape[-2:] if rank == 3 else value.shape[-1:]).contiguous().clone()


def recorded(model: Recorder, inputs: dict):
    model.tensors = {}
    with torch.no_grad():
        output = model(**inputs)
    golden, model.tensors = model.tensors, None
    return golden, output


class Linear(nn.Module):
    """A linear layer over the second axis of [B, D, T] or [B, D, 1, T], in one of its forms."""

    def __init__(self, kind: str, rows: int, columns: int):
        super().__init__()
        self.kind = kind
        if kind == "conv1d":
            self.inner = nn.Conv1d(rows, columns, 1)
        elif kind == "conv2d":
            self.inner = nn.Conv2d(rows, columns, 1)
        else:
            self.weight = nn.Parameter(torch.empty(columns, rows))
            self.bias = nn.Parameter(torch.empty(columns))

    def forward(self, x):
        if self.kind == "left":
            return self.weight @ x + self.bias[:, None]
        if self.kind == "einsum":
            return torch.einsum("oc,bct->bot", self.weight, x) + self.bias[:, None]
        return self.inner(x)


class Norm(nn.Module):
    """A norm over the second axis."""

    def __init__(self, axes: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN, *[1] * axes))

    def forward(self, x):
        x = x - x.mean(1, keepdim=True)
        return x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-5) * self.weight


class ChannelsFirst(Recorder):
    """The whole stream is [B, D, T], or [B, D, 1, T] for convolutions over pictures."""

    def __init__(self, kind: str, post: bool = False, layers: int = 2, stem: bool = False):
        super().__init__()
        self.kind, self.post = kind, post
        width = 90 if stem else WIDTH
        axes = 2 if kind == "conv2d" else 1
        self.wte, self.wpe = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(64, HIDDEN)
        make = lambda rows, columns: Linear(kind, rows, columns)
        self.layers = nn.ModuleList(
            nn.ModuleDict(
                {
                    **{name: make(HIDDEN, HIDDEN) for name in "qkvo"},
                    "up": make(HIDDEN, width),
                    "down": make(width, HIDDEN),
                    "norm1": Norm(axes),
                    "norm2": Norm(axes),
                }
            )
            for _ in range(layers)
        )
        self.norm, self.head = Norm(axes), make(HIDDEN, VOCABULARY)
        # A convolution in front, so that what ONNX Runtime lays out for a processor is the stream itself, and sums are fused.
        self.stem = make(HIDDEN, HIDDEN) if stem else None

    def rows(self, x):
        return (x[:, :, 0] if x.dim() == 4 else x).transpose(1, 2)

    def attention(self, layer, x, index):
        batch, _, length = x.shape[0], x.shape[1], x.shape[-1]
        split = lambda value: value.reshape(batch, HEADS, DIM, length)
        q, k, v = (split(layer[name](x)) for name in "qkv")
        scores = torch.einsum("bhct,bhcs->bhts", q, k) / DIM**0.5
        seen = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
        pattern = torch.softmax(scores.masked_fill(~seen, -1e9), -1)
        self.see(f"attn.{index}", pattern, 3)
        mixed = torch.einsum("bhts,bhcs->bhct", pattern, v)
        return layer["o"](mixed.reshape(batch, HIDDEN, 1, length) if x.dim() == 4 else mixed.reshape(batch, HIDDEN, length))

    def mlp(self, layer, x, index):
        inner = F.relu(layer["up"](x)) if self.stem else F.gelu(layer["up"](x))
        self.see(f"mlp.{index}", self.rows(inner))
        return layer["down"](inner)

    def forward(self, input_ids):
        h = self.wte(input_ids) + self.wpe(torch.arange(input_ids.shape[1], device=input_ids.device))[None]
        h = h.transpose(1, 2)
        h = h[:, :, None] if self.kind == "conv2d" else h
        h = self.stem(h) if self.stem else h
        self.see("hidden.0", self.rows(h))
        for index, layer in enumerate(self.layers):
            if self.post:
                h = layer["norm1"](h + self.attention(layer, h, index))
                self.see(f"resid_mid.{index}", self.rows(h))
                h = layer["norm2"](h + self.mlp(layer, h, index))
            else:
                h = h + self.attention(layer, layer["norm1"](h), index)
                self.see(f"resid_mid.{index}", self.rows(h))
                h = h + self.mlp(layer, layer["norm2"](h), index)
            self.see(f"hidden.{index + 1}", self.rows(h))
        return self.rows(self.head(h if self.post else self.norm(h)))


class Block(nn.Module):
    def __init__(self, owner: Recorder):
        super().__init__()
        object.__setattr__(self, "owner", owner)
        self.q, self.k, self.v, self.o = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.up, self.down = nn.Linear(HIDDEN, WIDTH), nn.Linear(WIDTH, HIDDEN)
        self.norm1, self.norm2 = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)

    def attention(self, x, index=None, causal=True):
        batch, length, _ = x.shape
        split = lambda value: value.view(batch, length, HEADS, DIM).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        scores = q @ k.transpose(2, 3) / DIM**0.5
        if causal:
            seen = torch.ones(length, length, dtype=torch.bool, device=x.device).tril()
            scores = scores.masked_fill(~seen, -1e9)
        pattern = torch.softmax(scores, -1)
        if index is not None:
            self.owner.see(f"attn.{index}", pattern, 3)
        return self.o((pattern @ v).transpose(1, 2).reshape(batch, length, HIDDEN))

    def mlp(self, x, index):
        inner = F.gelu(self.up(x))
        self.owner.see(f"mlp.{index}", inner)
        return self.down(inner)

    def forward(self, h, index, causal=True):
        h = h + self.attention(self.norm1(h), index, causal)
        self.owner.see(f"resid_mid.{index}", h)
        h = h + self.mlp(self.norm2(h), index)
        self.owner.see(f"hidden.{index + 1}", h)
        return h


class Prompted(Recorder):
    """Rows of the stream that no id stands for: in front (meta tokens), after the first (CoOp), behind, or both."""

    def __init__(self, where: str, kept: bool = False, layers: int = 2):
        super().__init__()
        self.where, self.kept = where, kept
        self.wte, self.wpe = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(64, HIDDEN)
        self.soft, self.behind = nn.Parameter(torch.empty(3, HIDDEN)), nn.Parameter(torch.empty(2, HIDDEN))
        self.blocks = nn.ModuleList(Block(self) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, VOCABULARY, bias=False)

    def forward(self, input_ids, prompt_embeds=None):
        h = self.wte(input_ids)
        soft, behind = (rows[None].expand(input_ids.shape[0], -1, -1) for rows in (self.soft, self.behind))
        parts = {
            "front": [soft, h],
            "inside": [h[:, :1], soft, h[:, 1:]],
            "behind": [h, behind],
            "both": [soft, h, behind],
            "given": [prompt_embeds, h],
        }[self.where]
        h = torch.cat(parts, 1)
        h = h + self.wpe(torch.arange(h.shape[1], device=h.device))[None]
        self.see("hidden.0", h)
        for index, block in enumerate(self.blocks):
            h = block(h, index)
        h = self.norm(h)
        if not self.kept:
            h = h[:, 3:] if self.where == "front" else h[:, 3:-2] if self.where == "both" else h
        return self.head(h)


class SpaceTime(Recorder):
    """A clip of frames: attention over time and over space in one block, or in turn."""

    FRAMES, PLACES = 3, 9

    def __init__(self, kind: str, layers: int = 2):
        super().__init__()
        self.kind = kind
        self.cut = nn.Conv2d(3, HIDDEN, 8, stride=8)
        self.cls = nn.Parameter(torch.empty(1, 1, HIDDEN))
        self.places, self.times = nn.Parameter(torch.empty(1, self.PLACES, HIDDEN)), nn.Parameter(torch.empty(1, self.FRAMES, HIDDEN))
        self.blocks = nn.ModuleList(Block(self) for _ in range(layers))
        self.others = nn.ModuleList(Block(self) for _ in range(layers))
        self.norm = nn.LayerNorm(HIDDEN)

    def forward(self, pixel_values):
        batch, frames, places = pixel_values.shape[0], self.FRAMES, self.PLACES
        h = self.cut(pixel_values.flatten(0, 1)).flatten(2).transpose(1, 2) + self.places
        if self.kind == "alternating":
            # [frames, places, D], as in Latte and OpenSora: blocks over space, then over time.
            h = (h.view(batch, frames, places, HIDDEN) + self.times[:, :, None]).flatten(0, 1)
            self.see("hidden.0", h)
            for index, block in enumerate(self.blocks):
                if index % 2 == 0:
                    h = block(h, index, causal=False)
                    continue
                h = h.view(batch, frames, places, HIDDEN).transpose(1, 2).reshape(-1, frames, HIDDEN)
                seen = self.tensors
                self.tensors = None
                h = block(h, index, causal=False)
                self.tensors = seen
                h = h.view(batch, places, frames, HIDDEN).transpose(1, 2).reshape(-1, places, HIDDEN)
                self.see(f"hidden.{index + 1}", h)
            return self.norm(h).view(batch, frames * places, HIDDEN)
        h = (h.view(batch, frames, places, HIDDEN) + self.times[:, :, None]).transpose(1, 2).reshape(batch, -1, HIDDEN)
        h = torch.cat([self.cls.expand(batch, -1, -1), h], 1)
        self.see("hidden.0", h)
        for index, (time, block) in enumerate(zip(self.others, self.blocks)):
            patches = h[:, 1:]
            x = patches.reshape(batch * places, frames, HIDDEN)
            x = x + time.attention(time.norm1(x), causal=False)
            patches = x.reshape(batch, -1, HIDDEN)
            x = patches.view(batch, places, frames, HIDDEN).transpose(1, 2).reshape(-1, places, HIDDEN)
            cls = h[:, :1].repeat(1, frames, 1).reshape(-1, 1, HIDDEN)
            x = block.attention(block.norm1(torch.cat([cls, x], 1)), causal=False)
            cls = x[:, 0].view(batch, frames, HIDDEN).mean(1, keepdim=True)
            x = x[:, 1:].view(batch, frames, places, HIDDEN).transpose(1, 2).reshape(batch, -1, HIDDEN)
            h = torch.cat([h[:, :1], patches], 1) + torch.cat([cls, x], 1)
            self.see(f"resid_mid.{index}", h)
            h = h + block.mlp(block.norm2(h), index)
            self.see(f"hidden.{index + 1}", h)
        return self.norm(h)


class Decisions(Recorder):
    """Returns, states and actions of each step in turn, as in a Decision Transformer."""

    def __init__(self, layers: int = 2):
        super().__init__()
        self.times = nn.Embedding(40, HIDDEN)
        self.returns, self.states, self.actions = nn.Linear(1, HIDDEN), nn.Linear(17, HIDDEN), nn.Linear(6, HIDDEN)
        self.norm0, self.norm = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.blocks = nn.ModuleList(Block(self) for _ in range(layers))
        self.head = nn.Linear(HIDDEN, 6)

    def forward(self, states, actions, returns_to_go, timesteps):
        times = self.times(timesteps)
        parts = (self.returns(returns_to_go) + times, self.states(states) + times, self.actions(actions) + times)
        h = torch.stack(parts, 1).permute(0, 2, 1, 3).reshape(states.shape[0], 3 * states.shape[1], HIDDEN)
        h = self.norm0(h)
        self.see("hidden.0", h)
        for index, block in enumerate(self.blocks):
            h = block(h, index)
        h = self.norm(h).reshape(states.shape[0], states.shape[1], 3, HIDDEN).permute(0, 2, 1, 3)
        return torch.tanh(self.head(h[:, 1]))


def cases() -> Iterator[Case]:
    generator = torch.Generator().manual_seed(2)
    ids = {"input_ids": torch.randint(0, VOCABULARY, (1, LENGTH), generator=generator)}
    clip = {"pixel_values": torch.randn(1, 3, 3, 24, 24, generator=generator)}
    steps = {
        "states": torch.randn(1, 5, 17, generator=generator),
        "actions": torch.randn(1, 5, 6, generator=generator),
        "returns_to_go": torch.randn(1, 5, 1, generator=generator),
        "timesteps": torch.arange(7, 12)[None],
    }
    prompt = torch.randn(1, 3, HIDDEN, generator=generator)
    models = {
        **{
            f"layout-{kind}{'-post' if post else ''}": (lambda kind=kind, post=post: ChannelsFirst(kind, post), ids)
            for kind in ("conv1d", "conv2d", "left", "einsum")
            for post in (False, True)
        },
        **{
            f"layout-soft-{where}{'-kept' if kept else ''}": (lambda where=where, kept=kept: Prompted(where, kept), ids)
            for where, kept in (("front", False), ("front", True), ("inside", True), ("behind", True), ("both", False))
        },
        **{f"layout-{kind}": (lambda kind=kind: SpaceTime(kind), clip) for kind in ("divided", "alternating")},
        "layout-soft-given": (lambda: Prompted("given", True), {**ids, "prompt_embeds": prompt}),
        "layout-decisions": (Decisions, steps),
    }
    for name, (model, inputs) in models.items():
        parts = dict(inputs=inputs, blocks="", golden=recorded)
        static = "states" in inputs
        yield Case(f"{name}-ts-op17", model, export=forms.torchscript(17, static), **parts)
        yield Case(f"{name}-ts-op17-static", model, export=forms.torchscript(17, True), **parts)
        yield Case(f"{name}-dynamo-op18", model, export=forms.dynamo(18, static), **parts)
    stem = dict(inputs=ids, blocks="", golden=recorded, export=forms.torchscript(17))
    yield Case("layout-conv2d-stem-ts-op17", lambda: ChannelsFirst("conv2d", stem=True), **stem)
