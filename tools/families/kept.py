"""What decoders keep of earlier tokens beside keys and values of all of them: keys that are cut to a window, latents that
keys are made of, rounded ones, those of another layer, and states of convolutions and recurrences."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

from caches import DIM, HEADS, HIDDEN, LENGTH, Answer, Positional, turned
from export import VOCABULARY, Case
from layouts import Recorder, recorded

SHARED, WINDOW, KERNEL, LATENT, STEP = 2, 5, 3, 12, 0.03


def heads(x: torch.Tensor) -> torch.Tensor:
    return x.unflatten(-1, (-1, DIM)).transpose(1, 2)


class Attention(nn.Module):
    """Rotary, with two heads of keys and values."""

    axis, dtype = 2, torch.float32

    def __init__(self):
        super().__init__()
        self.q, self.o = nn.Linear(HIDDEN, HEADS * DIM), nn.Linear(HEADS * DIM, HIDDEN)
        self.k, self.v = nn.Linear(HIDDEN, SHARED * DIM), nn.Linear(HIDDEN, SHARED * DIM)

    def empty(self, tokens: int) -> dict:
        return {part: torch.zeros(1, SHARED, tokens, DIM, dtype=self.dtype) for part in ("key", "value")}

    def keys(self, x, past, positions, _before):
        """Keys and values, and what is kept of them."""
        key, value = torch.cat([past[0], turned(heads(self.k(x)), positions)], 2), torch.cat([past[1], heads(self.v(x))], 2)
        return (key, value), [key, value]

    def seen(self, behind):
        return behind >= 0

    def scores(self, query, key):
        return query @ key.repeat_interleave(HEADS // key.shape[1], 1).transpose(-1, -2)

    def forward(self, x, past, positions, before, see):
        (key, value), kept = self.keys(x, past, positions, before)
        count = key.shape[2]
        behind = positions[:, None] - (torch.arange(count) + (positions[-1] + 1 - count))
        scores = self.scores(turned(heads(self.q(x)), positions), key) / DIM**0.5
        pattern = scores.masked_fill(~self.seen(behind), -1e9).softmax(-1)
        see(pattern)
        weighed = pattern @ value.repeat_interleave(HEADS // value.shape[1], 1)
        return self.o(weighed.transpose(1, 2).flatten(2)), kept, (key, value)


class Cut(Attention):
    """A window, of which no more is kept than the next token sees."""

    def seen(self, behind):
        return (behind >= 0) & (behind < WINDOW)

    def keys(self, x, past, positions, before):
        pair, kept = super().keys(x, past, positions, before)
        return pair, [part[:, :, -(WINDOW - 1) :] for part in kept]


class Another(Attention):
    """Keys and values are those of the layer before."""

    def __init__(self):
        super().__init__()
        del self.k, self.v

    def empty(self, _tokens):
        return {}

    def keys(self, _x, _past, _positions, before):
        return before, []


class Rounded(Attention):
    """Kept as integers of eight bits."""

    dtype = torch.int8

    def keys(self, x, past, positions, _before):
        new = turned(heads(self.k(x)), positions), heads(self.v(x))
        rounded = [(part / STEP).round().clamp(-127, 127).to(torch.int8) for part in new]
        kept = [torch.cat([part, more], 2) for part, more in zip(past, rounded)]
        return tuple(part.float() * STEP for part in kept), kept


class Latent(Attention):
    """DeepSeek's: kept is what keys and values are made of, and one key for all heads that is turned."""

    axis = 1

    def __init__(self):
        super().__init__()
        del self.k, self.v
        self.down, self.turn, self.qr = nn.Linear(HIDDEN, LATENT), nn.Linear(HIDDEN, DIM), nn.Linear(HIDDEN, HEADS * DIM)
        self.up_k, self.up_v = nn.Linear(LATENT, HEADS * DIM, bias=False), nn.Linear(LATENT, HEADS * DIM, bias=False)

    def empty(self, tokens):
        return {"latent": torch.zeros(1, tokens, LATENT), "rope": torch.zeros(1, tokens, DIM)}

    def forward(self, x, past, positions, _before, see):
        latent = torch.cat([past[0], self.down(x)], 1)
        rope = torch.cat([past[1], turned(self.turn(x), positions)], 1)
        query = turned(heads(self.qr(x)), positions)
        # The product with what makes keys is taken on the side of the queries.
        absorbed = torch.einsum("bhtd,hdr->bhtr", heads(self.q(x)), self.up_k.weight.unflatten(0, (HEADS, DIM)))
        scores = absorbed @ latent[:, None].transpose(-1, -2) + query @ rope[:, None].transpose(-1, -2)
        behind = positions[:, None] - torch.arange(latent.shape[1])
        pattern = (scores / DIM**0.5).masked_fill(behind < 0, -1e9).softmax(-1)
        see(pattern)
        weighed = torch.einsum("bhtr,hdr->bhtd", pattern @ latent[:, None], self.up_v.weight.unflatten(0, (HEADS, DIM)))
        return self.o(weighed.transpose(1, 2).flatten(2)), [latent, rope], None


class Convolution(nn.Module):
    """LFM2's: gated, with the last rows that it looks back at."""

    axis = None

    def __init__(self):
        super().__init__()
        self.i, self.o = nn.Linear(HIDDEN, 3 * HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.conv = nn.Conv1d(HIDDEN, HIDDEN, KERNEL, groups=HIDDEN)

    def empty(self, _tokens):
        return {"conv": torch.zeros(1, HIDDEN, KERNEL - 1)}

    def forward(self, x, past, _positions, before, _see):
        a, b, c = self.i(x).transpose(1, 2).chunk(3, 1)
        joined = torch.cat([past[0], a * b], 2)
        return self.o((c * self.conv(joined)).transpose(1, 2)), [joined[:, :, -(KERNEL - 1) :]], before


class Recurrence(nn.Module):
    """A state that decays, all tokens of a run at once."""

    axis = None

    def __init__(self):
        super().__init__()
        self.i, self.o, self.decay = nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Parameter(torch.rand(HIDDEN))

    def empty(self, _tokens):
        return {"state": torch.zeros(1, HIDDEN)}

    def forward(self, x, past, _positions, before, _see):
        decay, at = torch.sigmoid(self.decay), torch.arange(x.shape[1])
        steps = (at[:, None] - at)[..., None]
        weights = torch.where(steps >= 0, decay ** steps.clamp(min=0), torch.zeros(()))
        states = torch.einsum("tsd,bsd->btd", weights, self.i(x)) + decay ** (at + 1)[:, None] * past[0][:, None]
        return self.o(states), [states[:, -1]], before


class Block(nn.Module):
    def __init__(self, mixer: type[nn.Module]):
        super().__init__()
        self.norm, self.norm2, self.mixer = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN), mixer()
        self.up, self.down = nn.Linear(HIDDEN, 64), nn.Linear(64, HIDDEN)


class Decoder(Recorder):
    """positions: `ids` are given, or counted from a `mask`, or by how much the first layer with keys keeps (`past`)."""

    def __init__(self, mixers: list[type[nn.Module]], positions: str):
        super().__init__()
        self.positions = positions
        self.embed = nn.Embedding(VOCABULARY, HIDDEN)
        self.blocks = nn.ModuleList(Block(mixer) for mixer in mixers)
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, VOCABULARY, bias=False)
        self.names = {f"past_key_values.{i}.{part}": i for i, block in enumerate(self.blocks) for part in block.mixer.empty(0)}

    def forward(self, input_ids, **given):
        tokens = input_ids.shape[1]
        past = [[given[name] for name, i in self.names.items() if i == block] for block in range(len(self.blocks))]
        if self.positions == "past":
            counted = next(i for i, block in enumerate(self.blocks) if block.mixer.axis is not None)
            positions = torch.arange(tokens) + past[counted][0].shape[self.blocks[counted].mixer.axis]
        else:
            counts = given["attention_mask"][0].cumsum(-1) - 1 if self.positions == "mask" else given["position_ids"][0]
            positions = counts[-tokens:]
        x = self.embed(input_ids)
        self.see("hidden.0", x)
        before, presents = None, []
        for i, block in enumerate(self.blocks):
            see = lambda pattern, i=i: self.see(f"attn.{i}", pattern, 3)
            added, kept, before = block.mixer(block.norm(x), past[i], positions, before, see)
            x = x + added
            self.see(f"resid_mid.{i}", x)
            inner = F.gelu(block.up(block.norm2(x)))
            self.see(f"mlp.{i}", inner)
            x = x + block.down(inner)
            self.see(f"hidden.{i + 1}", x)
            presents += kept
        return Answer(self.head(self.norm(x)), presents)

    def inputs(self, tokens: int, past: int) -> dict:
        given = {"input_ids": torch.randint(3, VOCABULARY, (1, tokens), generator=torch.Generator().manual_seed(5))}
        if self.positions == "ids":
            given["position_ids"] = torch.arange(past, past + tokens)[None]
        if self.positions == "mask":
            given["attention_mask"] = torch.ones(1, past + tokens, dtype=torch.int64)
        parts = {name: self.blocks[i].mixer.empty(past) for name, i in self.names.items()}
        return given | {name: kept[name.rsplit(".", 1)[1]] for name, kept in parts.items()}


def export(wrapped, inputs, head, path):
    """torch.onnx.export(dynamo=False, opset_version=17), with a cache"""
    model = wrapped.m
    axes = {"input_ids": {1: "tokens"}, "position_ids": {1: "tokens"}, "attention_mask": {1: "total"}}
    for name, i in model.names.items():
        mixer = model.blocks[i].mixer
        if mixer.axis is not None:
            axes[name] = {mixer.axis: "kept" if isinstance(mixer, Cut) else "past"}
    torch.onnx.export(
        Positional(model, list(inputs)),
        tuple(model.inputs(6, 4).values()),
        str(path),
        input_names=list(inputs),
        output_names=[head, *(name.replace("past_key_values", "present") for name in model.names)],
        dynamic_axes={name: axes[name] for name in inputs if name in axes},
        opset_version=17,
        dynamo=False,
    )


FORMS = {
    "cut": ([Cut, Attention], "ids"),
    "cut-counted": ([Cut, Attention], "past"),
    "another-rounded": ([Rounded, Another], "mask"),
    "latent": ([Latent, Latent], "past"),
    "states": ([Convolution, Recurrence, Attention], "mask"),
}


def cases() -> Iterator[Case]:
    for form, (mixers, positions) in FORMS.items():
        model = Decoder(mixers, positions)
        inputs = model.inputs(LENGTH, 0)
        # States are there before the first token: what they are fed is held too.
        facts = {"ids": inputs["input_ids"].flatten().tolist()}
        # Of heads that share what keys are made of, a file does not tell how many there are.
        if Latent in mixers:
            facts["heads"] = None
        build = lambda mixers=mixers, positions=positions: Decoder(mixers, positions)
        yield Case(f"cache-{form}-ts-op17", build, inputs, "blocks", export, golden=recorded, facts=facts)
