"""Mixtures of experts, with their routings: which experts each token is sent to, with what weights, and what they make."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn as nn
import torch.nn.functional as F

import cases
import forms
from capture import Capture
from export import Case

E, K, WIDTH = 5, 2, 24
SIZES = dict(num_hidden_layers=2, num_experts_per_tok=K)
HF = {
    "mixtral": dict(num_local_experts=E, intermediate_size=WIDTH),
    "qwen2_moe": dict(num_experts=E, moe_intermediate_size=WIDTH, shared_expert_intermediate_size=32),
    "qwen3_moe": dict(num_experts=E, moe_intermediate_size=WIDTH, head_dim=16, norm_topk_prob=True),
    "olmoe": dict(num_experts=E, intermediate_size=WIDTH),
    "gpt_oss": dict(num_local_experts=E, head_dim=16, intermediate_size=WIDTH),
    "phimoe": dict(num_local_experts=E, intermediate_size=WIDTH),
    "granitemoe": dict(num_local_experts=E, intermediate_size=WIDTH),
    "deepseek_v3": dict(
        num_key_value_heads=4, q_lora_rank=24, kv_lora_rank=16, qk_rope_head_dim=8, qk_nope_head_dim=8, v_head_dim=12,
        n_routed_experts=6, n_group=2, topk_group=1, moe_intermediate_size=WIDTH, first_k_dense_replace=1, routed_scaling_factor=2.5,
    ),
}


def record(tensors: dict, block: int, indices, weights, scores=None, intermediates=None):
    """Of each token the expert of the largest weight first, as Sinkscope gives them."""
    indices, weights = indices.reshape(-1, indices.shape[-1]), weights.reshape(-1, weights.shape[-1])
    order = torch.sort(weights, dim=-1, descending=True, stable=True).indices
    tensors[f"experts.{block}"] = indices.gather(-1, order).float().contiguous()
    tensors[f"expert_weights.{block}"] = weights.gather(-1, order).float().contiguous()
    if scores is not None:
        tensors[f"router.{block}"] = scores.reshape(-1, scores.shape[-1]).float().contiguous()
    if intermediates is not None:
        own = intermediates.reshape(*indices.shape, -1)
        tensors[f"expert_mlp.{block}"] = torch.stack([row[places] for row, places in zip(own, order)]).float().contiguous()


def golden(kind: str, intermediates: bool):
    """What Capture records, and the routing of each block that has experts."""

    def run(model, inputs):
        capture = Capture(list(model.get_submodule(cases.LAYERS)), cases.PRE)
        tensors: dict[str, torch.Tensor] = {}
        handles = []
        for block, layer in enumerate(model.get_submodule(cases.LAYERS)):
            for module in layer.modules():
                if type(module).__name__.lower().endswith(("topkrouter", "router")):
                    handles.append(module.register_forward_hook(routed(tensors, block, kind)))
                if intermediates and type(module).__name__.endswith("Experts"):
                    handles.append(module.register_forward_hook(inner(tensors, block)))
        got, output = capture(model, {**inputs, "use_cache": False})
        for handle in handles:
            handle.remove()
        # Without the column of a learned sink, which weighs no values.
        got = {name: value[..., : value.shape[-2]].contiguous() if name.startswith("attn.") else value for name, value in got.items()}
        return {**got, **tensors}, output

    return run


def routed(tensors: dict, block: int, kind: str):
    def hook(_module, _args, output):
        logits, weights, indices = output
        scores = None
        if kind in ("mixtral", "qwen2_moe", "qwen3_moe", "olmoe"):
            scores = logits.float().softmax(-1)
        if kind == "deepseek_v3":
            scores = logits.sigmoid()
        record(tensors, block, indices, weights, scores)

    return hook


def inner(tensors: dict, block: int):
    """The intermediates of the chosen experts, from their weights."""
    from transformers.integrations.moe import _batched_linear

    def hook(module, args, _output):
        hidden, indices, weights = args
        chosen = indices.reshape(-1)
        bias = lambda name: getattr(module, name)[chosen] if getattr(module, "has_bias", False) else None
        rows = hidden.reshape(-1, hidden.shape[-1]).repeat_interleave(indices.shape[-1], dim=0)
        made = _batched_linear(rows, module.gate_up_proj[chosen], bias("gate_up_proj_bias"), module.is_transposed)
        record(tensors, block, indices, weights, tensors.get(f"router.{block}"), module._apply_gate(made))

    return hook


def build(kind: str, config: dict, experts: str):
    def model():
        made = cases.build(kind, config)()
        if hasattr(made, "set_experts_implementation"):
            made.set_experts_implementation(experts)
        return made

    return model


class Dense(nn.Module):
    """A decoder whose experts all compute every token, weighed by zeros for those that are not chosen."""

    def __init__(self, mixture: type[nn.Module]):
        super().__init__()
        self.embed = nn.Embedding(100, 32)
        self.blocks = nn.ModuleList(DenseBlock(mixture) for _ in range(2))
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 100, bias=False)

    def forward(self, input_ids):
        h = self.embed(input_ids)
        for block in self.blocks:
            h = block(h)
        return self.head(self.norm(h))


class DenseBlock(nn.Module):
    def __init__(self, mixture):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(32), nn.LayerNorm(32)
        self.q, self.k, self.v, self.o = (nn.Linear(32, 32) for _ in range(4))
        self.mixture = mixture()

    def forward(self, h):
        x = self.n1(h)
        heads = lambda y: y.view(y.shape[0], y.shape[1], 4, 8).transpose(1, 2)
        q, k, v = heads(self.q(x)), heads(self.k(x)), heads(self.v(x))
        seen = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
        pattern = F.softmax((q @ k.transpose(-1, -2) / 8**0.5).masked_fill(~seen, -1e9), dim=-1)
        h = h + self.o((pattern @ v).transpose(1, 2).reshape(x.shape))
        return h + self.mixture(self.n2(h))


class Routed(nn.Module):
    """Keeps what it routes for the golden."""

    def __init__(self, k=K):
        super().__init__()
        self.k = k
        self.gate = nn.Linear(32, E, bias=False)
        self.up = nn.Parameter(torch.randn(E, 32, WIDTH))
        self.down = nn.Parameter(torch.randn(E, WIDTH, 32))
        self.kept = None


class OneHotLoop(Routed):
    """A loop over experts; a mask of the chosen gives each its weight, zero for the tokens of others."""

    def forward(self, x):
        scores = F.softmax(self.gate(x), dim=-1)
        weights, chosen = torch.topk(scores, self.k, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        self.kept = (chosen, weights, scores, None)
        out = torch.zeros_like(x)
        for e in range(E):
            own = (weights * (chosen == e)).sum(-1, keepdim=True)
            out = out + own * (F.gelu(x @ self.up[e]) @ self.down[e])
        return out


class Scattered(Routed):
    """Weights scattered over all experts; the stack of experts is one batched product."""

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        top, chosen = torch.topk(self.gate(flat), self.k, dim=-1)
        weights = F.softmax(top, dim=-1)
        dense = torch.zeros(flat.shape[0], E, dtype=x.dtype, device=x.device).scatter(1, chosen, weights)
        inner = F.gelu(torch.matmul(flat.unsqueeze(0), self.up))
        made = torch.matmul(inner, self.down)
        own = inner.transpose(0, 1).gather(1, chosen.unsqueeze(-1).expand(-1, -1, WIDTH))
        self.kept = (chosen, weights, None, own)
        return (made * dense.t().unsqueeze(-1)).sum(0).view(x.shape)


class Einsum(Routed):
    """All experts by einsum, and their outputs of the chosen gathered."""

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        scores = torch.sigmoid(self.gate(flat))
        weights, chosen = torch.topk(scores, self.k, dim=-1)
        weights = 1.5 * weights / (weights.sum(-1, keepdim=True) + 1e-9)
        own = F.silu(torch.einsum("td,tkdf->tkf", flat, self.up[chosen]))
        made = torch.einsum("tkf,tkfd->tkd", own, self.down[chosen])
        self.kept = (chosen, weights, scores, own)
        return torch.einsum("tkd,tk->td", made, weights).view(x.shape)


class Largest(Routed):
    """Switch Transformers' way: the most probable expert alone, weighed by its probability, and one that all tokens pass."""

    def __init__(self):
        super().__init__(1)
        self.shared = nn.Sequential(nn.Linear(32, 40), nn.GELU(), nn.Linear(40, 32))

    def forward(self, x):
        scores = F.softmax(self.gate(x), dim=-1)
        chosen = scores.argmax(-1)
        weight = scores.max(-1).values.unsqueeze(-1)
        self.kept = (chosen.unsqueeze(-1), weight, scores, None)
        masks = F.one_hot(chosen, E)
        out = torch.zeros_like(x)
        for e in range(E):
            out = out + (F.gelu(x @ self.up[e]) @ self.down[e]) * masks[..., e].unsqueeze(-1)
        return out * weight + self.shared(x)


class OnInputs(Routed):
    """Llama 4's way: scores multiply what experts read, minus infinity before the sigmoid for those not chosen."""

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        top, chosen = torch.topk(self.gate(flat), self.k, dim=-1)
        empty = torch.full((flat.shape[0], E), float("-inf"), dtype=x.dtype, device=x.device)
        scores = torch.sigmoid(empty.scatter(1, chosen, top))
        read = (flat.repeat(E, 1) * scores.t().reshape(-1, 1)).view(E, -1, x.shape[-1])
        inner = F.silu(torch.bmm(read, self.up))
        own = inner.transpose(0, 1).gather(1, chosen.unsqueeze(-1).expand(-1, -1, WIDTH))
        self.kept = (chosen, torch.sigmoid(top), None, own)
        return torch.bmm(inner, self.down).sum(0).view(x.shape)


class ByToken(Routed):
    """Experts choose tokens (expert choice): there is no k for each token."""

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        scores = F.softmax(self.gate(flat), dim=-1)
        weights, tokens = torch.topk(scores.t(), 4, dim=-1)
        made = torch.matmul(F.gelu(torch.matmul(flat[tokens], self.up)), self.down) * weights.unsqueeze(-1)
        return torch.zeros_like(flat).index_add(0, tokens.reshape(-1), made.reshape(-1, x.shape[-1])).view(x.shape)


class LargestUnits(nn.Module):
    """No experts: an MLP whose largest activations alone count."""

    def __init__(self):
        super().__init__()
        self.up, self.down, self.kept = nn.Linear(32, 64), nn.Linear(64, 32), None

    def forward(self, x):
        inner = self.up(x)
        top, places = torch.topk(inner, 8, dim=-1)
        return self.down(torch.zeros_like(inner).scatter(-1, places, F.relu(top)))


class Operator(torch.autograd.Function):
    """MoE or QMoE of ONNX Runtime's contributed operators; what it computes is in the modules that use it."""

    @staticmethod
    def forward(_context, made, *_given):
        return made

    @staticmethod
    def symbolic(g, _made, x, logits, attributes, *weights):
        op, own = attributes
        # An input that is left out, as PyTorch writes it.
        empty = g.op("prim::Constant")
        empty.setType(torch.OptionalType.ofTensor())
        return g.op(f"com.microsoft::{op}", x, logits, *(empty if w is None else w for w in weights), **own)


class FusedExperts(Routed):
    """com.microsoft MoE, weights of the chosen divided by their sum or not."""

    divided = 1

    def weights(self, logits):
        scores = F.softmax(logits, dim=-1)
        weights, chosen = torch.topk(scores, self.k, dim=-1)
        return chosen, weights / weights.sum(-1, keepdim=True) if self.divided else weights, scores

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        logits = self.gate(flat)
        chosen, weights, scores = self.weights(logits)
        self.kept = (chosen, weights, scores, None)
        inner = F.relu(torch.einsum("td,tkdf->tkf", flat, self.up[chosen]))
        made = torch.einsum("tkf,tkfd,tk->td", inner, self.down[chosen], weights)
        own = dict(k_i=self.k, activation_type_s="relu", normalize_routing_weights_i=self.divided)
        up, down = self.up.transpose(1, 2).contiguous(), self.down.transpose(1, 2).contiguous()
        return Operator.apply(made, flat, logits, ("MoE", own), up, None, down).view(x.shape)


class FusedUndivided(FusedExperts):
    divided = 0


class FusedBytes(FusedExperts):
    """com.microsoft QMoE: weights of 8 bits with a scale for each row; it divides by the sum whatever it is told."""

    divided = 0

    def forward(self, x):
        flat = x.reshape(-1, x.shape[-1])
        logits = self.gate(flat)
        scores = F.softmax(logits, dim=-1)
        top, chosen = torch.topk(scores, self.k, dim=-1)
        weights = top / top.sum(-1, keepdim=True)
        self.kept = (chosen, weights, scores, None)
        given, dense = [], []
        for weight in (self.up, self.down):
            rows = weight.transpose(1, 2)
            scale = rows.abs().amax(-1) / 127
            whole = (rows / scale.unsqueeze(-1)).round()
            dense.append((whole * scale.unsqueeze(-1)).transpose(1, 2))
            given += [(whole + 128).to(torch.uint8), scale, None]
        inner = F.relu(torch.einsum("td,tkdf->tkf", flat, dense[0][chosen]))
        made = torch.einsum("tkf,tkfd,tk->td", inner, dense[1][chosen], weights)
        own = dict(k_i=self.k, activation_type_s="relu", normalize_routing_weights_i=0, expert_weight_bits_i=8)
        return Operator.apply(made, flat, logits, ("QMoE", own), *given[:-1]).view(x.shape)


def own_golden(model, inputs):
    capture = Capture(list(model.blocks), ("n2", "in"))
    got, output = capture(model, inputs)
    for block, layer in enumerate(model.blocks):
        if layer.mixture.kept is not None:
            record(got, block, *layer.mixture.kept)
    return got, output


def spiked_golden(model, inputs):
    """As above, after one weight of one expert was made so large that its tokens become massive; and what each expert adds."""
    mixture = model.blocks[1].mixture
    with torch.no_grad():
        mixture.down[2, 5, 7] = 20000.0
    read = []
    handle = mixture.register_forward_hook(lambda _module, args, _output: read.append(args[0].flatten(0, -2)))
    got, output = own_golden(model, inputs)
    handle.remove()
    chosen, weights = got["experts.1"].long(), got["expert_weights.1"].unsqueeze(-1)
    on_inputs = isinstance(mixture, OnInputs)
    x = read[0].unsqueeze(1) * (weights if on_inputs else 1)
    activation = F.silu if isinstance(mixture, (Einsum, OnInputs)) else F.gelu
    inner = activation(torch.einsum("tkd,tkdf->tkf", x.expand(-1, K, -1), mixture.up[chosen]))
    made = torch.einsum("tkf,tkfd->tkd", inner, mixture.down[chosen])
    got["expert_made.1"] = (made if on_inputs else made * weights).detach().contiguous()
    return got, output


OWN = {"loop": OneHotLoop, "scattered": Scattered, "einsum": Einsum, "largest": Largest, "inputs": OnInputs, "by-token": ByToken, "units": LargestUnits, "moe": FusedExperts, "moe-undivided": FusedUndivided, "qmoe-int8": FusedBytes}


def hf_cases() -> Iterator[Case]:
    for kind, own in HF.items():
        config = {**cases.LLAMA, **SIZES, **own}
        facts = {"kv_heads": config["num_key_value_heads"]}
        common = dict(inputs=cases.ids(), blocks=cases.LAYERS, mid=cases.PRE, facts=facts)
        loop = golden(kind, False)
        yield Case(f"experts-{kind}-ts-op17", build(kind, config, "eager"), export=forms.torchscript(17), golden=loop, **common)
        batched = golden(kind, True)
        yield Case(f"experts-{kind}-dynamo-op18", build(kind, config, "batched_mm"), export=forms.dynamo(18), golden=batched, **common)
        yield Case(f"experts-{kind}-slim", build(kind, config, "eager"), export=forms.torchscript(17), after=forms.slim, golden=loop, **common)
        yield Case(f"experts-{kind}-batched-ts-op17", build(kind, config, "batched_mm"), export=forms.torchscript(17), golden=batched, **common)


def all_cases() -> Iterator[Case]:
    yield from hf_cases()
    for name, mixture in OWN.items():
        common = dict(inputs=cases.ids(mask=False), blocks="blocks", golden=own_golden)
        yield Case(f"experts-{name}-ts-op17", lambda mixture=mixture: Dense(mixture), export=forms.torchscript(17), **common)
        if mixture in (OneHotLoop, Scattered, Einsum, OnInputs):
            spiked = {**common, "golden": spiked_golden}
            yield Case(f"experts-spiked-{name}-ts-op17", lambda mixture=mixture: Dense(mixture), export=forms.torchscript(17), **spiked)
        if issubclass(mixture, FusedExperts):
            continue
        yield Case(f"experts-{name}-dynamo-op18", lambda mixture=mixture: Dense(mixture), export=forms.dynamo(18), **common)
