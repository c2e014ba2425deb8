"""Decoders of one's own whose blocks are put together in ways that no Hugging Face family has."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

import forms
from export import VOCABULARY, Case
from layouts import Recorder, recorded

HIDDEN, HEADS, DIM, WIDTH, LENGTH = 32, 4, 8, 48, 12


class Block(nn.Module):
    def __init__(self, kind: str, layer: int):
        super().__init__()
        self.kind, self.layer = kind, layer
        self.norm1, self.norm2, self.norm3 = (nn.LayerNorm(HIDDEN) for _ in range(3))
        self.q, self.k, self.v, self.o = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.up, self.down = nn.Linear(HIDDEN, WIDTH), nn.Linear(WIDTH, HIDDEN)
        if kind == "shaw":
            self.far_keys, self.far_values = nn.Embedding(9, DIM), nn.Embedding(9, DIM)
        if kind == "cross-first":
            self.others = nn.ModuleList(nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
            self.gate = nn.Parameter(torch.tensor(0.7))
        if kind == "conv-mlp":
            self.wide, self.narrow = nn.Conv1d(HIDDEN, WIDTH, 3, padding=2), nn.Conv1d(WIDTH, HIDDEN, 1)
        if kind == "layers-mixed":
            self.mix = nn.ModuleList(nn.Linear(HIDDEN, 2 * layer + part) for part in (1, 2))

    def heads(self, x):
        return x.unflatten(-1, (HEADS, DIM)).transpose(1, 2)

    def attention(self, x, see):
        length = x.shape[1]
        q, k, v = (self.heads(layer(x)) for layer in (self.q, self.k, self.v))
        scores = q @ k.transpose(2, 3)
        places = torch.arange(length, device=x.device)
        # Shaw et al. 2018: how far a key is has a row in the keys and one in the values.
        far = (places - places[:, None]).clamp(-4, 4) + 4
        if self.kind == "shaw":
            scores = scores + torch.einsum("bhqd,qkd->bhqk", q, self.far_keys(far))
        pattern = (scores / DIM**0.5).masked_fill(places > places[:, None], -1e9).softmax(-1)
        see(f"attn.{self.layer}", pattern, 3)
        mixed = pattern @ v
        if self.kind == "shaw":
            mixed = mixed + torch.einsum("bhqk,qkd->bhqd", pattern, self.far_values(far))
        return self.o(mixed.transpose(1, 2).flatten(2))

    def cross(self, x, states, see):
        query, key, value, out = self.others
        pattern = (self.heads(query(x)) @ self.heads(key(states)).transpose(2, 3) / DIM**0.5).softmax(-1)
        see(f"cross.{self.layer}", pattern, 3)
        return out((pattern @ self.heads(value(states))).transpose(1, 2).flatten(2))

    def mlp(self, x, see):
        if self.kind == "conv-mlp":
            inner = F.relu(self.wide(x.transpose(1, 2))[..., : x.shape[1]])
            see(f"mlp.{self.layer}", inner.transpose(1, 2))
            return self.narrow(inner).transpose(1, 2)
        inner = F.gelu(self.up(x))
        see(f"mlp.{self.layer}", inner)
        return self.down(inner)

    def mixed(self, h, before: list, part: int):
        """What a branch reads of all that was left so far, by a weight for each (dynamic mixing of layers)."""
        before.append(h)
        if self.kind != "layers-mixed":
            return h
        weights = self.mix[part](F.normalize(h, dim=-1)).softmax(-1)
        return torch.einsum("btl,lbtd->btd", weights, torch.stack(before))

    def forward(self, h, before: list, states, see):
        if self.kind == "parallel-scaled":
            x = self.norm1(h)
            return h + 0.6 * (self.attention(x, see) + self.mlp(x, see))
        if self.kind == "cross-first":
            h = h + torch.tanh(self.gate) * self.cross(self.norm3(h), states, see)
        h = h + self.attention(self.norm1(self.mixed(h, before, 0)), see)
        see(f"resid_mid.{self.layer}", h)
        return h + self.mlp(self.norm2(self.mixed(h, before, 1)), see)


class Stack(Recorder):
    def __init__(self, kind: str, layers: int = 2):
        super().__init__()
        self.kind = kind
        self.wte, self.wpe = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(32, HIDDEN)
        self.memory = nn.Parameter(torch.randn(3, HIDDEN)) if kind == "memory-tokens" else None
        # Rows of the table of tokens behind the vocabulary, as CPM-Ant has them.
        self.prompt = nn.Embedding(VOCABULARY + 6, HIDDEN) if kind == "prompt-ids" else None
        self.blocks = nn.ModuleList(Block(kind, layer) for layer in range(layers))
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, VOCABULARY, bias=False)

    def forward(self, input_ids, states=None, num_logits_to_keep=None):
        if self.prompt is not None:
            own = torch.arange(VOCABULARY + 2, VOCABULARY + 6).repeat(input_ids.shape[0], 1)
            input_ids = torch.cat([own, input_ids], 1)
        table = self.wte if self.prompt is None else self.prompt
        h = table(input_ids) + self.wpe(torch.arange(input_ids.shape[1], device=input_ids.device))
        if self.memory is not None:
            # As einops packs and unpacks them.
            repeated = self.memory[None].repeat(h.shape[0], 1, 1)
            apart = [part.shape[1] for part in (repeated, h)]
            h = torch.cat([part.reshape(part.shape[0], -1, HIDDEN) for part in (repeated, h)], 1)
        self.see("hidden.0", h)
        before = []
        for index, block in enumerate(self.blocks):
            h = block(h, before, states, self.see)
            self.see(f"hidden.{index + 1}", h)
        if self.memory is not None:
            h = h.split(apart, 1)[1].reshape(h.shape[0], -1, HIDDEN)
        if self.prompt is not None:
            h = h[:, 4:]
        if num_logits_to_keep is not None:
            h = h[:, -num_logits_to_keep:]
        return self.head(self.norm(h))


KINDS = "shaw cross-first conv-mlp layers-mixed parallel-scaled memory-tokens prompt-ids kept".split()


def cases() -> Iterator[Case]:
    generator = torch.Generator().manual_seed(1)
    ids = {"input_ids": torch.randint(0, VOCABULARY, (1, LENGTH), generator=generator)}
    states = {"states": torch.randn(1, 7, HIDDEN, generator=generator)}
    more = {"cross-first": states, "kept": {"num_logits_to_keep": torch.tensor(LENGTH)}}
    for kind in KINDS:
        inputs = {**ids, **more.get(kind, {})}
        facts = {"ids": ids["input_ids"][0].tolist()} if kind in ("kept", "prompt-ids") else {}
        parts = dict(inputs=inputs, blocks="", golden=recorded, facts=facts)
        make = lambda kind=kind: Stack(kind)
        parallel = kind == "parallel-scaled"
        yield Case(f"stack-{kind}-ts-op17", make, export=forms.torchscript(17), parallel=parallel, **parts)
        # torch.export does not cut by a number that is an input.
        if kind != "kept":
            yield Case(f"stack-{kind}-dynamo-op18", make, export=forms.dynamo(18), parallel=parallel, **parts)
