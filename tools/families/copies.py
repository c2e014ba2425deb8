"""Copies of the stream that are values of their own (AltUp): a block computes with one of them, and what it changes is given
to all; or one stream alone to which a block's change is given back scaled."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn

import forms
from export import VOCABULARY, Case
from layouts import Recorder, recorded
from variants import HIDDEN, LENGTH, MLP, Attention


class Block(nn.Module):
    def __init__(self, owner: Recorder, layer: int, kind: str, copies: int):
        super().__init__()
        object.__setattr__(self, "owner", owner)
        self.routed, self.copies = "routed" in kind, copies
        self.active = layer % copies if "alternate" in kind else 0
        self.attention, self.mlp = Attention("softmax"), MLP()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        self.router = nn.Linear(HIDDEN, copies, bias=False)
        self.mix, self.give = nn.Linear(copies, copies**2, bias=False), nn.Linear(copies, copies, bias=False)
        self.mixes, self.gives = nn.Parameter(torch.eye(copies)), nn.Parameter(torch.ones(copies))

    def numbers(self, h):
        return torch.tanh(self.router(self.norm3(h)))

    def mixed(self, states):
        if self.copies == 1:
            return states
        every = range(self.copies)
        if not self.routed:
            return [sum(self.mixes[i, j] * states[j] for j in every) for i in every]
        numbers = self.numbers(states[self.active])
        by = self.mix(numbers).view(*numbers.shape[:-1], self.copies, self.copies)
        return [states[i] + sum(by[..., i, j : j + 1] * states[j] for j in every) for i in every]

    def forward(self, states, index):
        states = self.mixed(states)
        begin = states[self.active]
        h = begin + self.attention(self.norm1(begin))
        self.owner.see(f"resid_mid.{index}", h)
        h = h + self.mlp(self.norm2(h))
        change = h - begin
        if self.routed:
            by = self.give(self.numbers(h)) + 1
            states = [state + by[..., i : i + 1] * change for i, state in enumerate(states)]
        else:
            states = [state + self.gives[i] * change for i, state in enumerate(states)]
        self.owner.see(f"hidden.{index + 1}", states[self.active])
        return states


class Model(Recorder):
    def __init__(self, kind: str, copies: int, layers: int = 3):
        super().__init__()
        self.kind = kind
        self.wte, self.wpe = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(64, HIDDEN)
        self.into, self.outof = (nn.ModuleList(nn.Linear(HIDDEN, HIDDEN, bias=False) for _ in range(copies - 1)) for _ in range(2))
        self.blocks = nn.ModuleList(Block(self, layer, kind, copies) for layer in range(layers))
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, VOCABULARY, bias=False)

    def forward(self, input_ids):
        h = self.wte(input_ids) + self.wpe(torch.arange(input_ids.shape[1], device=input_ids.device))[None]
        self.see("hidden.0", h)
        states = [h, *(h if "alike" in self.kind else into(h) for into in self.into)]
        for index, block in enumerate(self.blocks):
            states = block(states, index)
        if "projected" in self.kind:
            h = states[0] + sum(outof(state) for outof, state in zip(self.outof, states[1:]))
        else:
            h = sum(states) / len(states)
        return self.head(self.norm(h))


def golden(model: Model, inputs: dict):
    """With patterns and MLP intermediates as their modules see them."""
    handles = []
    for index, block in enumerate(model.blocks):
        see = lambda name, rank: lambda _module, args: model.see(name, args[0], rank)
        handles.append(block.attention.pattern.register_forward_pre_hook(see(f"attn.{index}", 3)))
        handles.append(block.mlp.down.register_forward_pre_hook(see(f"mlp.{index}", 2)))
    tensors, output = recorded(model, inputs)
    for handle in handles:
        handle.remove()
    return tensors, output


KINDS = {
    "plain": 2, "plain-projected": 3, "plain-alike": 3, "plain-alternate": 2, "routed": 2, "routed-projected": 3, "routed-alike": 2,
    "routed-alternate-projected": 3, "alone": 1, "alone-routed": 1,
}


def cases() -> Iterator[Case]:
    ids = {"input_ids": torch.randint(0, VOCABULARY, (1, LENGTH), generator=torch.Generator().manual_seed(1))}
    for kind, copies in KINDS.items():
        make = lambda kind=kind, copies=copies: Model(kind, copies)
        for form, export in (("ts-op17", forms.torchscript(17)), ("dynamo-op18", forms.dynamo(18))):
            yield Case(f"copies-{kind}-{form}", make, inputs=ids, blocks="", golden=golden, export=export)
