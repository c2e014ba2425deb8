"""Blocks and attentions of papers that no Hugging Face family has, in plain PyTorch: how a branch joins the stream, and
how scores become weights."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from torch.nn import functional as F

import forms
from capture import Capture
from export import VOCABULARY, Case

HIDDEN, HEADS, DIM, WIDTH, LENGTH = 64, 4, 16, 96, 12


def causal(length: int, device) -> torch.Tensor:
    return torch.ones(length, length, dtype=torch.bool, device=device).tril()


class Weights(nn.Module):
    """Scores [B, H, Q, K] to what values are weighed by."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        if "talking" in kind:
            self.before, self.after = nn.Linear(HEADS, HEADS), nn.Linear(HEADS, HEADS, bias=False)
        if kind == "talking-conv":
            self.before, self.after = nn.Conv2d(HEADS, HEADS, 1), nn.Conv2d(HEADS, HEADS, 1)
        if kind == "sink":
            self.sink = nn.Parameter(torch.randn(HEADS))

    def forward(self, scores):
        kind = self.kind
        seen = causal(scores.shape[-1], scores.device)
        masked = scores.masked_fill(~seen, -1e9)
        mixed = lambda layer, x: layer(x) if isinstance(layer, nn.Conv2d) else layer(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        if kind == "sigmoid":
            return torch.sigmoid(masked - 2.5)
        if kind == "relu2":
            return torch.relu(masked).square() / scores.shape[-1]
        if kind == "relu":
            return torch.relu(masked)
        if kind == "softpick":
            top = masked.amax(-1, keepdim=True)
            shifted = torch.exp(masked - top) - torch.exp(-top)
            return torch.relu(shifted) / (shifted.abs().masked_fill(~seen, 0).sum(-1, keepdim=True) + 1e-6)
        if kind == "log-softmax":
            return F.log_softmax(masked, -1).exp()
        if kind.startswith("talking"):
            pattern = torch.softmax(mixed(self.before, scores).masked_fill(~seen, -1e9), -1)
            return mixed(self.after, pattern)
        if kind == "top-k":
            least = masked.topk(4, -1).values[..., -1:]
            return torch.softmax(masked.masked_fill(masked < least, -1e9), -1)
        if kind == "top-k-scatter":
            values, places = masked.topk(4, -1)
            return torch.zeros_like(masked).scatter(-1, places, torch.softmax(values, -1))
        if kind == "sparsemax":
            ordered = masked.sort(-1, descending=True).values
            sums = ordered.cumsum(-1) - 1
            ranks = torch.arange(1, scores.shape[-1] + 1, device=scores.device).to(scores.dtype)
            count = (ordered * ranks > sums).sum(-1, keepdim=True)
            return torch.relu(masked - sums.gather(-1, count - 1) / count)
        if kind == "linear":
            positive = scores.masked_fill(~seen, 0)
            return positive / positive.sum(-1, keepdim=True)
        if kind == "sink":
            extra = self.sink.view(1, -1, 1, 1).expand(scores.shape[0], -1, scores.shape[2], 1)
            return torch.softmax(torch.cat([masked, extra], -1), -1)[..., :-1]
        return torch.softmax(masked, -1)


class Attention(nn.Module):
    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.q, self.k, self.v, self.o = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        if kind == "one-by-one-sum":
            self.outs = nn.ModuleList(nn.Linear(DIM, HIDDEN, bias=False) for _ in range(HEADS))
        if kind == "dynamic-heads":
            self.dynamic = nn.Linear(HIDDEN, HEADS * HEADS)
        if kind == "gated":
            self.gate = nn.Linear(HIDDEN, HIDDEN)
        self.weights = Weights(kind)
        # Sees the pattern, and is no part of the model.
        self.pattern = nn.Identity()

    def forward(self, x):
        kind, (batch, length, _) = self.kind, x.shape
        if kind == "channels-first":
            return self.channels_first(x)
        if kind.startswith("one-by-one"):
            return self.one_by_one(x)
        split = lambda value: value.view(batch, length, HEADS, DIM).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        if kind == "linear":
            q, k = F.elu(q) + 1, F.elu(k) + 1
        if kind == "cosine":
            q, k = F.normalize(q, dim=-1) * 10, F.normalize(k, dim=-1)
        if kind == "transposed":
            scores = k @ q.transpose(2, 3) / DIM**0.5
            seen = causal(length, x.device).T
            pattern = torch.softmax(scores.masked_fill(~seen, -1e9), -2)
            self.pattern(pattern.transpose(2, 3))
            return self.o((v.transpose(2, 3) @ pattern).permute(0, 3, 1, 2).reshape(batch, length, HIDDEN))
        scores = q @ k.transpose(2, 3) / DIM**0.5
        if kind == "divided-after":
            weights = torch.exp(scores.masked_fill(~causal(length, x.device), -1e9))
            total = weights.sum(-1, keepdim=True)
            self.pattern(weights / total)
            mixed = (weights @ v) / total
        else:
            weights = self.weights(scores)
            if kind == "dynamic-heads":
                between = self.dynamic(x).view(batch, length, HEADS, HEADS) / HEADS
                weights = weights + (between @ weights.transpose(1, 2)).transpose(1, 2)
            self.pattern(weights)
            mixed = torch.einsum("bhqk,bkhd->bqhd", weights, v.transpose(1, 2)).transpose(1, 2) if kind == "einsum" else weights @ v
        mixed = mixed.transpose(1, 2).reshape(batch, length, HIDDEN)
        return self.o(mixed * torch.sigmoid(self.gate(x)) if kind == "gated" else mixed)

    def one_by_one(self, x):
        q, k, v = (layer(x).split(DIM, -1) for layer in (self.q, self.k, self.v))
        grouped = self.kind == "one-by-one-grouped"
        patterns, results = [], []
        for head in range(HEADS):
            kv = head // 2 if grouped else head
            patterns.append(self.weights((q[head] @ k[kv].transpose(1, 2) / DIM**0.5)[:, None])[:, 0])
            results.append(patterns[-1] @ v[kv])
        self.pattern(torch.stack(patterns, 1))
        if self.kind == "one-by-one-sum":
            return sum((out(result) for out, result in zip(self.outs[1:], results[1:])), self.outs[0](results[0]))
        return self.o(torch.cat(results, -1))

    def channels_first(self, x):
        """As Apple's transformers for the Neural Engine: heads apart, keys before queries, [B, D, 1, T]."""
        turned = lambda value: value.transpose(1, 2)[:, :, None]
        q = turned(self.q(x)).split(DIM, 1)
        k = turned(self.k(x)).transpose(1, 3).split(DIM, 3)
        v = turned(self.v(x)).split(DIM, 1)
        seen = causal(x.shape[1], x.device).T[None, :, None]
        patterns, results = [], []
        for a, b, c in zip(q, k, v):
            scores = torch.einsum("bchq,bkhc->bkhq", a, b) / DIM**0.5
            patterns.append(scores.masked_fill(~seen, -1e9).softmax(1))
            results.append(torch.einsum("bkhq,bchk->bchq", patterns[-1], c))
        self.pattern(torch.cat(patterns, 2).permute(0, 2, 3, 1))
        return self.o(torch.cat(results, 1)[:, :, 0].transpose(1, 2))


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(HIDDEN, WIDTH), nn.Linear(WIDTH, HIDDEN)

    def forward(self, x):
        return self.down(F.gelu(self.up(x)))


class Short(nn.Module):
    """A causal convolution over a few tokens, each dimension by itself."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(HIDDEN, HIDDEN, 4, padding=3, groups=HIDDEN)

    def forward(self, x):
        return self.conv(x.transpose(1, 2))[..., : x.shape[1]].transpose(1, 2)


class Mixing(nn.Module):
    """A Conformer's convolution module."""

    def __init__(self):
        super().__init__()
        self.into, self.conv, self.out = nn.Linear(HIDDEN, 2 * HIDDEN), nn.Conv1d(HIDDEN, HIDDEN, 3, padding=1, groups=HIDDEN), nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x):
        x = F.glu(self.into(x), -1).transpose(1, 2)
        return self.out(F.silu(self.conv(x)).transpose(1, 2))


unit = lambda x: F.normalize(x, dim=-1) * 8


class Block(nn.Module):
    def __init__(self, layer: int, kind: str, attention: str):
        super().__init__()
        self.layer, self.kind = layer, kind
        self.attention, self.mlp = Attention(attention), MLP()
        self.norm1, self.norm2 = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN)
        # Sees the stream between attention and MLP, and is no part of the model.
        self.mid = nn.Identity()
        if "macaron" in kind:
            self.first, self.norm0 = MLP(), nn.LayerNorm(HIDDEN)
        if "conv" in kind:
            self.mixing, self.norm3 = Mixing(), nn.LayerNorm(HIDDEN)
        if kind.endswith("normed"):
            self.last = nn.LayerNorm(HIDDEN)
        if kind.startswith("lambdas"):
            self.lambdas = nn.Parameter(torch.tensor([1.1, 0.3]) + 0.1 * layer)
        if kind.startswith("depth"):
            self.depth = nn.Parameter(torch.randn(HIDDEN))
        if kind.startswith("inject"):
            self.inject = nn.Linear(HIDDEN, HIDDEN, bias="bare" not in kind)
            self.gate, self.norm3 = nn.Linear(HIDDEN, HIDDEN), nn.LayerNorm(HIDDEN)
        if kind == "inject-table":
            self.table = nn.Embedding(VOCABULARY, HIDDEN)
        if kind == "inject-mlp":
            self.inject = MLP()
        if kind.startswith("canon"):
            self.shorts = nn.ModuleList(Short() for _ in range(4))
        if kind.startswith("ada"):
            self.condition = nn.Linear(HIDDEN, 6 * HIDDEN)
            self.table = nn.Parameter(torch.randn(6, HIDDEN) * 0.3)
        if kind == "hyper":
            self.into, self.outof = nn.Parameter(torch.rand(2, 2)), nn.Parameter(torch.rand(2, 2))
            self.across = nn.Parameter(torch.eye(2).repeat(2, 1, 1))
        if kind in ("highway", "gru"):
            self.gates = nn.ModuleList(nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        if kind == "gru-cell":
            self.cells = nn.ModuleList(nn.GRUCell(HIDDEN, HIDDEN) for _ in range(2))
        if kind == "lerp":
            self.alpha = nn.Parameter(torch.full((2, HIDDEN), 0.3))
        if kind in ("rezero", "layer-scale"):
            self.scales = nn.Parameter(torch.rand(2, 1 if kind == "rezero" else HIDDEN))

    def forward(self, h, start, condition):
        kind, attention, mlp, norm1, norm2 = self.kind, self.attention, self.mlp, self.norm1, self.norm2
        if "macaron" in kind:
            h = h + 0.5 * self.first(self.norm0(h))
            if kind == "macaron-conv-first":
                h = h + self.mixing(self.norm3(h))
            if kind == "macaron-half":
                self.mid(h)
                return h + attention(norm1(h))
            h = h + attention(norm1(h))
            self.mid(h)
            if kind in ("macaron-conv", "macaron-conv-normed"):
                h = h + self.mixing(self.norm3(h))
            h = h + 0.5 * mlp(norm2(h))
            return self.last(h) if kind.endswith("normed") else h
        if kind.startswith("lambdas"):
            h = self.lambdas[0] * h + self.lambdas[1] * start
        if kind.startswith("depth"):
            h = h + self.depth
        if kind.startswith("inject"):
            h = self.injected(h, start if condition is None else condition)
        if kind in ("lambdas-post", "depth-post", "inject-post") or kind.startswith("tail-post"):
            h = norm1(h + attention(h))
            self.mid(h)
            return norm2(h + mlp(h))
        if kind.startswith("canon"):
            x = norm1(h)
            x = x + self.shorts[0](x)
            if kind == "canon-twice":
                x = x + self.shorts[1](x)
            h = h + attention(x)
            self.mid(h)
            x = norm2(h)
            if kind != "canon-attention":
                x = x + self.shorts[2](x)
            return h + mlp(x)
        if kind.startswith("ada"):
            if kind == "ada-table":
                parts = (self.table[None] + condition[:, None]).chunk(6, 1)
            else:
                parts = self.condition(F.silu(condition))[:, None].chunk(6, -1)
            shift1, scale1, gate1, shift2, scale2, gate2 = parts
            h = h + gate1 * attention(norm1(h) * (1 + scale1) + shift1)
            self.mid(h)
            return h + gate2 * mlp(norm2(h) * (1 + scale2) + shift2)
        if kind == "hyper":
            into = lambda i: (self.into[i][:, None, None] * h).sum(1)
            back = lambda i, branch: torch.einsum("mn,bntd->bmtd", self.across[i], h) + self.outof[i][:, None, None] * branch[:, None]
            h = back(0, attention(norm1(into(0))))
            self.mid(h)
            return back(1, mlp(norm2(into(1))))
        if kind == "lerp":
            h = unit(h + self.alpha[0] * (unit(attention(h)) - h))
            self.mid(h)
            return unit(h + self.alpha[1] * (unit(mlp(h)) - h))
        if kind == "torch-lerp":
            h = unit(torch.lerp(h, unit(attention(h)), 0.3))
            self.mid(h)
            return unit(torch.lerp(h, unit(mlp(h)), 0.3))
        if kind == "highway":
            gate = torch.sigmoid(self.gates[0](h))
            h = gate * attention(norm1(h)) + (1 - gate) * h
            self.mid(h)
            gate = torch.sigmoid(self.gates[1](h))
            return gate * mlp(norm2(h)) + (1 - gate) * h
        if kind == "gru":
            gated = lambda x, y, a, b: (1 - torch.sigmoid(a(y) - 2)) * x + torch.sigmoid(a(y) - 2) * torch.tanh(b(y))
            h = gated(h, attention(norm1(h)), self.gates[0], self.gates[1])
            self.mid(h)
            return gated(h, mlp(norm2(h)), self.gates[2], self.gates[3])
        if kind == "gru-cell":
            gated = lambda x, y, cell: cell(y.reshape(-1, HIDDEN), x.reshape(-1, HIDDEN)).reshape(x.shape)
            h = gated(h, attention(norm1(h)), self.cells[0])
            self.mid(h)
            return gated(h, mlp(norm2(h)), self.cells[1])
        if kind == "minus":
            h = h - attention(norm1(h))
            self.mid(h)
            return h - mlp(norm2(h))
        if kind == "deep-norm":
            h = norm1(1.7 * h + attention(h))
            self.mid(h)
            return norm2(1.7 * h + mlp(h))
        if kind in ("rezero", "layer-scale"):
            h = h + self.scales[0] * attention(norm1(h))
            self.mid(h)
            return h + self.scales[1] * mlp(norm2(h))
        if kind == "scaled-end":
            h = h + attention(norm1(h))
            self.mid(h)
            return (h + mlp(norm2(h))) * (0.9 + 0.05 * self.layer)
        h = h + attention(norm1(h))
        if kind == "lambdas-attention":
            return h
        self.mid(h)
        return h + mlp(norm2(h))

    def injected(self, h, start):
        """With a summand that is computed from what the stream began with, as DEQ's input injection."""
        kind = self.kind
        if kind == "inject-table":
            return h + self.table(start)
        if kind == "inject-position":
            return h + start
        if kind == "inject-side":
            return h + self.inject(start)
        if kind == "inject-some" and self.layer == 1:
            return h
        if kind == "inject-later" and self.layer == 0:
            return h
        if kind == "inject-gated":
            return h + torch.sigmoid(self.gate(h)) * self.inject(start)
        if kind == "inject-scaled":
            return h + 0.3 * self.inject(start)
        if kind == "inject-gated-start":
            return h + torch.sigmoid(self.gate(start)) * self.inject(start)
        if kind == "inject-normed":
            return h + self.inject(self.norm3(start))
        if kind == "inject-norm":
            return h + self.norm3(self.inject(start))
        if kind == "inject-lambdas":
            return 0.9 * h + self.inject(start)
        return h + self.inject(start)


class Tail(nn.Module):
    """What may stand behind the last block: a norm and an MLP that is added, as in Medusa's heads."""

    def __init__(self, kind: str):
        super().__init__()
        self.kind = kind
        self.norm, self.norm2, self.mlp = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN), MLP()
        self.one = nn.Linear(HIDDEN, HIDDEN)
        self.more = nn.ModuleList(MLP() for _ in range(2))

    def forward(self, h):
        kind = self.kind
        if "before" in kind:
            return self.norm(h + self.mlp(self.norm2(h)))
        if "bare" in kind:
            return h + self.mlp(h)
        x = self.norm(h)
        if "normed" in kind:
            return x + self.mlp(self.norm2(x))
        if "medusa" in kind:
            return x + F.silu(self.one(x))
        if "gated" in kind:
            return x + torch.sigmoid(self.one(x)) * self.mlp(x)
        if "twice" in kind:
            for mlp in self.more:
                x = x + mlp(x)
            return x
        if "end" in kind:
            return self.norm2(x + self.mlp(x))
        return x + self.mlp(x)


class Model(nn.Module):
    def __init__(self, kind: str = "plain", attention: str = "softmax", layers: int = 3):
        super().__init__()
        self.kind = kind
        self.wte, self.wpe = nn.Embedding(VOCABULARY, HIDDEN), nn.Embedding(64, HIDDEN)
        self.blocks = nn.ModuleList(Block(layer, kind, attention) for layer in range(layers))
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, VOCABULARY, bias=False)
        if kind.startswith("tail"):
            self.norm = Tail(kind)
        if kind == "inject-side":
            self.side = nn.Embedding(VOCABULARY, HIDDEN)
        if kind.startswith("inject-one"):
            for block in self.blocks[1:]:
                block.inject = self.blocks[0].inject

    def forward(self, input_ids, condition=None):
        h = self.wte(input_ids) + self.wpe(torch.arange(input_ids.shape[1], device=input_ids.device))[None]
        start = self.wte(input_ids) if self.kind == "inject-lookup" else h
        if self.kind == "hyper":
            h = h[:, None].repeat(1, 2, 1, 1)
        if self.kind == "inject-table":
            condition = input_ids
        if self.kind == "inject-position":
            condition = self.wpe(torch.arange(input_ids.shape[1], device=input_ids.device))[None]
        if self.kind == "inject-side":
            condition = self.side(input_ids)
        for block in self.blocks:
            h = block(h, start, condition)
        if self.kind.startswith("tail-last"):
            h = h[:, :1]
        return self.head(self.norm(h.sum(1) if self.kind == "hyper" else h))


class StateSpace(nn.Module):
    """A selective state-space layer, whose loop over tokens is written out when it is traced."""

    def __init__(self):
        super().__init__()
        self.into, self.out, self.step = nn.Linear(HIDDEN, 2 * HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, HIDDEN)
        self.write, self.read = nn.Linear(HIDDEN, 8), nn.Linear(HIDDEN, 8)
        self.A_log = nn.Parameter(torch.randn(HIDDEN, 8))

    def forward(self, x):
        x, gate = self.into(x).chunk(2, -1)
        step, write, read = F.softplus(self.step(x))[..., None], self.write(x)[:, :, None], self.read(x)[:, :, None]
        decay, added = torch.exp(-step * torch.exp(self.A_log)), step * write * x[..., None]
        state, results = torch.zeros_like(added[:, 0]), []
        for token in range(x.shape[1]):
            state = decay[:, token] * state + added[:, token]
            results.append((state * read[:, token]).sum(-1))
        return self.out(torch.stack(results, 1) * F.silu(gate))


class Layer(nn.Module):
    """One part alone: a mixer, or an MLP."""

    def __init__(self, part: str):
        super().__init__()
        self.part, self.norm = part, nn.LayerNorm(HIDDEN)
        self.add_module(part, {"scan": StateSpace, "attention": lambda: Attention("softmax"), "mlp": MLP}[part]())

    def forward(self, h):
        return h + getattr(self, self.part)(self.norm(h))


class OnePartEach(nn.Module):
    """Layers of one part each, as Nemotron-H has them."""

    def __init__(self, parts: str):
        super().__init__()
        self.wte, self.layers = nn.Embedding(VOCABULARY, HIDDEN), nn.ModuleList(Layer(part) for part in parts.split())
        self.norm, self.head = nn.LayerNorm(HIDDEN), nn.Linear(HIDDEN, VOCABULARY, bias=False)

    def forward(self, input_ids):
        h = self.wte(input_ids)
        for layer in self.layers:
            h = layer(h)
        return self.head(self.norm(h))


def mixers_with_mlps(model: OnePartEach, inputs: dict):
    """The golden of layers of one part each, by blocks: a mixer and the MLP behind it, where there is one, are a block."""
    own, output = Capture(model.layers, down="mlp.down")(model, inputs)
    starts = [index for index, layer in enumerate(model.layers) if layer.part != "mlp"]
    golden = {"hidden.0": own["hidden.0"]}
    for block, (start, end) in enumerate(zip(starts, [*starts[1:], len(model.layers)])):
        golden[f"hidden.{block + 1}"] = own[f"hidden.{end}"]
        if f"attn.{start}" in own:
            golden[f"attn.{block}"] = own[f"attn.{start}"]
        if end - start == 2:
            golden[f"resid_mid.{block}"], golden[f"mlp.{block}"] = own[f"hidden.{start + 1}"], own[f"mlp.{start + 1}"]
    return golden, output


KINDS = (
    "macaron macaron-half macaron-normed macaron-conv macaron-conv-normed macaron-conv-first lambdas lambdas-post "
    "lambdas-attention depth depth-post canon canon-twice canon-attention ada ada-table lerp torch-lerp highway gru gru-cell minus deep-norm rezero "
    "layer-scale scaled-end hyper inject inject-bare inject-gated inject-gated-start inject-scaled inject-normed inject-norm inject-lambdas inject-one "
    "inject-later inject-some inject-table inject-position inject-side inject-mlp inject-lookup inject-post tail tail-normed tail-before tail-bare tail-medusa tail-gated tail-twice "
    "tail-end tail-last tail-last-medusa tail-last-before tail-post tail-post-bare tail-post-medusa tail-post-end"
).split()
ATTENTIONS = (
    "sigmoid relu relu2 softpick log-softmax talking talking-conv top-k top-k-scatter sparsemax linear sink cosine "
    "transposed divided-after einsum gated dynamic-heads one-by-one one-by-one-sum one-by-one-grouped channels-first"
).split()


def cases() -> Iterator[Case]:
    generator = torch.Generator().manual_seed(1)
    ids = {"input_ids": torch.randint(0, VOCABULARY, (1, LENGTH), generator=generator)}
    condition = {"condition": torch.randn(1, HIDDEN, generator=generator)}
    named = [(kind, kind, "softmax", 3) for kind in KINDS]
    named += [(f"{kind}-once", kind, "softmax", 1) for kind in ("macaron", "lambdas", "canon", "highway", "lerp")]
    named += [(kind, "plain", kind, 2) for kind in ATTENTIONS]
    for name, kind, attention, layers in named:
        parts = dict(
            inputs={**ids, **condition} if kind.startswith("ada") else ids,
            blocks="blocks",
            mid=("mid", "in"),
            down={"macaron-half": "first.down", "lambdas-attention": None, "gru": None, "gru-cell": None}.get(kind, "mlp.down"),
            pattern="attention.pattern",
            facts={"kv_heads": 2 if attention == "one-by-one-grouped" else HEADS},
        )
        make = lambda kind=kind, attention=attention, layers=layers: Model(kind, attention, layers)
        for opset in (17,):
            yield Case(f"variant-{name}-ts-op{opset}", make, export=forms.torchscript(opset), **parts)
        yield Case(f"variant-{name}-saved-all", make, export=forms.torchscript(17), after=forms.ort_saved("all"), **parts)
        for opset in (18, 20):
            yield Case(f"variant-{name}-dynamo-op{opset}", make, export=forms.dynamo(opset), **parts)
    parts = "scan mlp scan attention mlp scan mlp"
    hybrid = dict(model=lambda: OnePartEach(parts), inputs=ids, blocks="layers", golden=mixers_with_mlps, facts={"heads": HEADS, "mlp_hidden": WIDTH})
    yield Case("variant-one-part-each-ts-op17", export=forms.torchscript(17, static=True), **hybrid)
    yield Case("variant-one-part-each-dynamo-op18", export=forms.dynamo(18, static=True), **hybrid)
    yield Case("variant-one-part-each-saved-all", export=forms.torchscript(17, static=True), after=forms.ort_saved("all"), **hybrid)
