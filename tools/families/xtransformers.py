"""Forms of x-transformers: what its options do to attention, norms, residuals and MLPs, one or two at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

import forms
from export import VOCABULARY, Case

LENGTH = 12

LAYERS: dict[str, dict] = {
    "plain": {},
    "rotary-glu": dict(rotary_pos_emb=True, ff_glu=True, use_rmsnorm=True),
    "alibi": dict(alibi_pos_bias=True),
    "t5": dict(rel_pos_bias=True),
    "dynamic-positions": dict(dynamic_pos_bias=True),
    "polar": dict(polar_pos_emb=True),
    "sandwich-norm": dict(sandwich_norm=True),
    "post": dict(pre_norm=False),
    "scale-residual": dict(scale_residual=True),
    "layerscale": dict(use_layerscale=True),
    "dynamic-tanh": dict(use_dynamic_tanh=True),
    "gate-residual": dict(gate_residual=True),
    "residual-attention": dict(residual_attn=True),
    "u-net": dict(unet_skips=True),
    "macaron": dict(macaron=True),
    "shift": dict(shift_tokens=1),
    "hyper": dict(num_residual_streams=2),
    "integrate": dict(integrate_layers=True),
    "clamp-output": dict(softclamp_output=True),
    "relu2": dict(ff_relu_squared=True),
    "norm-behind-activation": dict(ff_post_act_ln=True),
    "laser": dict(ff_no_bias=True, attn_laser=True),
    "memory-keys": dict(attn_num_mem_kv=3),
    "one-key-head": dict(attn_one_kv_head=True),
    "zero-key": dict(attn_add_zero_kv=True),
    "talking-heads": dict(attn_pre_talking_heads=True, attn_post_talking_heads=True),
    "gate-values": dict(attn_gate_values=True),
    "gate-heads": dict(attn_gate_value_heads=True, attn_value_dim_head=8),
    "head-scale": dict(attn_head_scale=True),
    "on-attention": dict(attn_on_attn=True),
    "top-k": dict(attn_sparse_topk=4),
    "value-residual": dict(add_value_residual=True),
    "value-norm": dict(attn_value_rmsnorm=True),
    "qk-norm": dict(attn_qk_norm=True, attn_qk_norm_dim_scale=True),
    "forget": dict(attn_data_dependent_alibi=True),
    "clamp-scores": dict(attn_softclamp_logits=True),
    "head-sink": dict(attn_head_learned_sink=True),
    "selective": dict(attn_selective=True),
    "sigmoid": dict(attn_sigmoid=True),
    "cope": dict(attn_use_cope=True),
}
WHOLE: dict[str, dict] = {
    "memory-tokens": dict(num_memory_tokens=3),
    "norm-behind-embedding": dict(post_emb_norm=True),
    "narrow-embedding": dict(emb_dim=32),
    "sinusoids": dict(scaled_sinu_pos_emb=True),
}


class Ids(nn.Module):
    def __init__(self, name: str):
        super().__init__()
        from x_transformers import Decoder, Encoder, TransformerWrapper

        kind = Encoder if name == "encoder" else Decoder
        layers = kind(dim=64, depth=3, heads=4, attn_dim_head=16, attn_flash=False, **LAYERS.get(name, {}))
        self.inner = TransformerWrapper(num_tokens=VOCABULARY, max_seq_len=32, attn_layers=layers, **WHOLE.get(name, {}))

    def forward(self, input_ids):
        return self.inner(input_ids)


@contextmanager
def seen_patterns(patterns: list):
    """What multiplies the values, after all that was done to it."""
    from x_transformers import attend

    plain = attend.einsum

    def einsum(equation, *operands):
        if equation.replace(" ", "").endswith("->bhid"):
            patterns.append(operands[0])
        return plain(equation, *operands)

    attend.einsum = einsum
    try:
        yield
    finally:
        attend.einsum = plain


def recorded(model: Ids, inputs: dict):
    stack = model.inner.attn_layers
    kinds, sums, inner, first, patterns = list(stack.layer_types), [], [], [], []
    hooks = [stack.register_forward_pre_hook(lambda module, given: first.append(given[0]))]
    for kind, ((_, _, norm), branch, residual) in zip(kinds, stack.layers):
        # A post-norm model's points are those behind its norms.
        hooks.append((norm or residual).register_forward_hook(lambda module, given, point: sums.append(point)))
        if kind == "f":
            last = [part for part in branch.modules() if isinstance(part, nn.Linear)][-1]
            hooks.append(last.register_forward_pre_hook(lambda module, given: inner.append(given[0])))
    with torch.no_grad(), seen_patterns(patterns):
        output = model(**inputs)
    for hook in hooks:
        hook.remove()

    # Of a block with two MLPs (macaron) the one behind its attention.
    attends = [index for index, kind in enumerate(kinds) if kind == "a"]
    ends = [min(later for later in range(index, len(kinds)) if kinds[later] == "f") for index in attends]
    mlps = dict(zip((index for index, kind in enumerate(kinds) if kind == "f"), inner))
    golden = {"hidden.0": first[0]}
    for block, (attention, end) in enumerate(zip(attends, ends)):
        golden[f"attn.{block}"] = patterns[block]
        golden[f"resid_mid.{block}"] = sums[attention]
        golden[f"mlp.{block}"] = mlps[end]
        golden[f"hidden.{block + 1}"] = sums[end]
    return {name: value[0].detach().float().contiguous().clone() for name, value in golden.items()}, output


def cases() -> Iterator[Case]:
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, VOCABULARY, (1, LENGTH), generator=generator)
    for name in ["encoder", *LAYERS, *WHOLE]:
        parts = dict(inputs={"input_ids": ids}, blocks="", golden=recorded)
        make = lambda name=name: Ids(name)
        yield Case(f"xt-{name}-ts-op17", make, export=forms.torchscript(17), **parts)
        yield Case(f"xt-{name}-dynamo-op18", make, export=forms.dynamo(18), **parts)
