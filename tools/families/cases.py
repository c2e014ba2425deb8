"""Which families are exported in which forms."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

import forms
from export import TOKENS, VOCABULARY, Case

LLAMA = dict(
    vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
)
GPT2 = dict(
    vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=4, n_positions=64, n_inner=96,
    pad_token_id=0, bos_token_id=1, eos_token_id=2,
)
BERT = dict(
    vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4,
    max_position_embeddings=64, type_vocab_size=2, pad_token_id=0, bos_token_id=1, eos_token_id=2,
)
VISION = dict(
    hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, image_size=24, patch_size=8, num_channels=3,
)
PRE = ("post_attention_layernorm", "in")


def ids(mask: bool = True) -> dict:
    generator = torch.Generator().manual_seed(1)
    values = torch.randint(3, VOCABULARY, (1, TOKENS), generator=generator)
    inputs = {"input_ids": values}
    if mask:
        inputs["attention_mask"] = torch.ones(1, TOKENS, dtype=torch.int64)
    return inputs


def pixels(size: int = 24) -> dict:
    return {"pixel_values": torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(1))}


def build(kind: str, config: dict, auto=AutoModelForCausalLM, part: str | None = None, attention: str = "eager"):
    def model():
        settings = AutoConfig.for_model(kind, **config)
        made = auto.from_config(settings, attn_implementation=attention)
        # Grouped products of experts have no ONNX form.
        if hasattr(made, "set_experts_implementation"):
            made.set_experts_implementation("eager")
        return made.get_submodule(part) if part else made

    return model


# Decoders: kind, configuration beyond LLAMA or GPT2, (blocks, mid, down, parallel).
LAYERS = "model.layers"
SEQUENTIAL = (LAYERS, PRE, "mlp.down_proj", False)
MOE = (LAYERS, PRE, None, False)
DECODERS = {
    "stablelm": (LLAMA, {}, SEQUENTIAL),
    "stablelm-parallel": (LLAMA, {"use_parallel_residual": True}, (LAYERS, None, "mlp.down_proj", True)),
    "olmo": (LLAMA, {}, SEQUENTIAL),
    "olmo2": (LLAMA, {}, (LAYERS, ("mlp", "in"), "mlp.down_proj", False)),
    "olmo3": (LLAMA, {}, (LAYERS, ("mlp", "in"), "mlp.down_proj", False)),
    "cohere": (LLAMA, {"logit_scale": 0.25}, (LAYERS, None, "mlp.down_proj", True)),
    "cohere2": (LLAMA, {"sliding_window": 4}, (LAYERS, None, "mlp.down_proj", True)),
    "starcoder2": (LLAMA, {}, (LAYERS, PRE, "mlp.c_proj", False)),
    "gemma": (LLAMA, {"head_dim": 16}, SEQUENTIAL),
    "granite": (
        LLAMA,
        {"embedding_multiplier": 3.0, "residual_multiplier": 0.5, "attention_multiplier": 0.2, "logits_scaling": 4.0},
        SEQUENTIAL,
    ),
    "granitemoe": (LLAMA, {"num_local_experts": 4, "num_experts_per_tok": 2, "residual_multiplier": 0.5}, MOE),
    "nemotron": (LLAMA, {}, SEQUENTIAL),
    "glm": (LLAMA, {"head_dim": 16}, SEQUENTIAL),
    "glm4": (LLAMA, {"head_dim": 16}, SEQUENTIAL),
    "smollm3": (LLAMA, {}, SEQUENTIAL),
    "exaone4": (LLAMA, {}, (LAYERS, ("mlp", "in"), "mlp.down_proj", False)),
    "seed_oss": (LLAMA, {"head_dim": 16}, SEQUENTIAL),
    "helium": (LLAMA, {"head_dim": 16}, SEQUENTIAL),
    "apertus": (LLAMA, {}, (LAYERS, ("feedforward_layernorm", "in"), "mlp.down_proj", False)),
    "arcee": (LLAMA, {}, SEQUENTIAL),
    "ernie4_5": (LLAMA, {"head_dim": 16}, SEQUENTIAL),
    "bitnet": (LLAMA, {}, SEQUENTIAL),
    "persimmon": (
        {**LLAMA, "num_key_value_heads": 4}, {}, (LAYERS, PRE, "mlp.dense_4h_to_h", False),
    ),
    "hunyuan_v1_dense": (LLAMA, {"head_dim": 16}, SEQUENTIAL),
    "qwen2_moe": (
        LLAMA,
        {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32},
        MOE,
    ),
    "qwen3_moe": (LLAMA, {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32, "head_dim": 16}, MOE),
    "olmoe": (LLAMA, {"num_experts": 4, "num_experts_per_tok": 2}, MOE),
    "phimoe": (LLAMA, {"num_local_experts": 4, "num_experts_per_tok": 2}, MOE),
    "deepseek_v3": (
        {**LLAMA, "num_key_value_heads": 4},
        {
            "q_lora_rank": 24, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 12,
            "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "moe_intermediate_size": 32,
            "first_k_dense_replace": 1,
        },
        MOE,
    ),
    "deepseek_v2": (
        {**LLAMA, "num_key_value_heads": 4},
        {
            "q_lora_rank": None, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 12,
            "n_routed_experts": 4, "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "moe_intermediate_size": 32,
            "first_k_dense_replace": 3,
        },
        SEQUENTIAL,
    ),
    "minimax": (
        LLAMA,
        {"head_dim": 16, "num_local_experts": 4, "layer_types": ["full_attention", "linear_attention"]},
        MOE,
    ),
    "gptj": (GPT2, {"rotary_dim": 8}, ("transformer.h", None, "mlp.fc_out", True)),
    "codegen": (GPT2, {"rotary_dim": 8}, ("transformer.h", None, "mlp.fc_out", True)),
    "gpt_bigcode": (GPT2, {"multi_query": True}, ("transformer.h", ("ln_2", "in"), "mlp.c_proj", False)),
    "imagegpt": (GPT2, {}, ("transformer.h", ("ln_2", "in"), "mlp.c_proj", False)),
    "openai-gpt": (GPT2, {}, ("transformer.h", ("ln_1", "out"), "mlp.c_proj", False)),
    "gpt_neo": (
        {},
        dict(
            vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_layers=2, num_heads=4,
            attention_types=[[["global", "local"], 1]], window_size=4, max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
        ),
        ("transformer.h", ("ln_2", "in"), "mlp.c_proj", False),
    ),
    "mpt": (
        {},
        dict(vocab_size=VOCABULARY, d_model=64, n_heads=4, n_layers=2, max_seq_len=64, expansion_ratio=2),
        ("transformer.blocks", ("norm_2", "in"), "ffn.down_proj", False),
    ),
    "xglm": (
        {},
        dict(vocab_size=VOCABULARY, d_model=64, ffn_dim=96, num_layers=2, attention_heads=4, max_position_embeddings=64, pad_token_id=0),
        (LAYERS, ("final_layer_norm", "in"), "fc2", False),
    ),
    "biogpt": (BERT, {}, ("biogpt.layers", ("final_layer_norm", "in"), "fc2", False)),
    "opt-350m": (
        {},
        dict(
            vocab_size=VOCABULARY, hidden_size=64, word_embed_proj_dim=24, ffn_dim=96, num_hidden_layers=2, num_attention_heads=4,
            max_position_embeddings=64, do_layer_norm_before=False, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        ),
        ("model.decoder.layers", ("self_attn_layer_norm", "out"), "fc2", False),
    ),
    "mamba": (
        {}, dict(vocab_size=VOCABULARY, hidden_size=64, state_size=8, num_hidden_layers=2, pad_token_id=0), ("backbone.layers", None, None, False),
    ),
    "jamba": (
        LLAMA,
        dict(attn_layer_period=2, attn_layer_offset=1, expert_layer_period=8, expert_layer_offset=7, num_experts=1, use_mamba_kernels=False, mamba_d_state=8),
        (LAYERS, ("pre_ff_layernorm", "in"), "feed_forward.down_proj", False),
    ),
    "lfm2": (
        LLAMA,
        dict(layer_types=["conv", "full_attention"], block_multiple_of=8),
        (LAYERS, ("ffn_norm", "in"), "feed_forward.w2", False),
    ),
    "rwkv": (
        {}, dict(vocab_size=VOCABULARY, hidden_size=64, attention_hidden_size=64, intermediate_size=96, num_hidden_layers=2, context_length=64),
        ("rwkv.blocks", ("ln2", "in"), None, False),
    ),
    "qwen3_next": (
        LLAMA,
        dict(
            head_dim=16, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32, shared_expert_intermediate_size=32,
            linear_num_value_heads=4, linear_num_key_heads=2, linear_key_head_dim=8, linear_value_head_dim=8,
            layer_types=["linear_attention", "full_attention"],
        ),
        MOE,
    ),
    "gemma3n_text": (
        LLAMA,
        dict(
            head_dim=16, vocab_size_per_layer_input=VOCABULARY, hidden_size_per_layer_input=8, laurel_rank=4, num_kv_shared_layers=1,
            altup_num_inputs=2, layer_types=["sliding_attention", "sliding_attention", "full_attention"],
            activation_sparsity_pattern=[0.0, 0.0, 0.0], intermediate_size=96,
        ),
        (LAYERS, None, None, False),
    ),
    "falcon_h1": (
        LLAMA,
        dict(mamba_d_ssm=64, mamba_n_heads=4, mamba_d_head=16, mamba_d_state=8, mamba_n_groups=1, mamba_chunk_size=8),
        (LAYERS, ("pre_ff_layernorm", "in"), "feed_forward.down_proj", False),
    ),
    "diffllama": (LLAMA, {}, SEQUENTIAL),
    # Experts of one neuron each: rows of two tables, picked for each token.
    "doge-moe": (LLAMA, {"is_moe": True, "num_experts": 4, "num_experts_per_tok": 2}, SEQUENTIAL),
}

# Encoders: kind, configuration, (blocks, mid, down).
POST = ("attention.output.LayerNorm", "out")
BERT_LAYERS = ("encoder.layer", POST, "output.dense")
ENCODERS = {
    "roberta": (BERT, {}, BERT_LAYERS),
    "electra": (BERT, {"embedding_size": 24}, BERT_LAYERS),
    "camembert": (BERT, {}, BERT_LAYERS),
    "megatron-bert": (BERT, {}, ("encoder.layer", ("ln", "in"), "output.dense")),
    "esm": ({**BERT, "mask_token_id": 3}, {"position_embedding_type": "rotary", "emb_layer_norm_before": False}, ("encoder.layer", ("LayerNorm", "in"), "output.dense")),
    "roformer": (BERT, {}, BERT_LAYERS),
    "ibert": (BERT, {"quant_mode": False}, ("encoder.layer", None, None)),
    "nystromformer": (BERT, {"num_landmarks": 12, "segment_means_seq_len": 12}, BERT_LAYERS),
    "fnet": (BERT, {}, ("encoder.layer", ("fourier.output.LayerNorm", "out"), "output.dense")),
    "convbert": (BERT, {"embedding_size": 64, "head_ratio": 2}, BERT_LAYERS),
    "squeezebert": (BERT, {"embedding_size": 64, "q_groups": 2, "k_groups": 2, "v_groups": 2}, ("encoder.layers", None, None)),
    "mobilebert": ({**BERT, "intermediate_size": 64}, {"embedding_size": 24, "true_hidden_size": 24, "intra_bottleneck_size": 24, "num_feedforward_networks": 2, "trigram_input": True}, ("encoder.layer", None, None)),
    "deberta-v2": (
        BERT,
        dict(relative_attention=True, position_buckets=8, pos_att_type=["p2c", "c2p"], norm_rel_ebd="layer_norm", share_att_key=True, max_relative_positions=16),
        BERT_LAYERS,
    ),
    "mpnet": (BERT, {}, ("encoder.layer", ("attention.LayerNorm", "out"), "output.dense")),
    "modernbert": (
        LLAMA, dict(local_attention=4, global_attn_every_n_layers=2, reference_compile=False, num_attention_heads=4), ("layers", ("mlp_norm", "in"), "mlp.Wo"),
    ),
    "distilbert": (
        {}, dict(vocab_size=VOCABULARY, dim=64, hidden_dim=96, n_layers=2, n_heads=4, max_position_embeddings=64),
        ("transformer.layer", ("sa_layer_norm", "out"), "ffn.lin2"),
    ),
    "albert": (
        BERT, dict(embedding_size=16, num_hidden_groups=1, inner_group_num=1),
        ("encoder.albert_layer_groups.0.albert_layers", ("attention.LayerNorm", "out"), "ffn_output"),
    ),
    "xlm": (
        {}, dict(vocab_size=VOCABULARY, emb_dim=64, n_layers=2, n_heads=4, max_position_embeddings=64, n_langs=1),
        None,
    ),
}

# Vision: kind, configuration, (part, blocks, mid, down, head).
VISIONS = {
    "vit": ({}, (None, "layers", ("layernorm_after", "in"), "mlp.fc2", "last_hidden_state")),
    "deit": ({}, (None, "layers", ("layernorm_after", "in"), "mlp.fc2", "last_hidden_state")),
    "beit": (
        {"use_relative_position_bias": True, "layer_scale_init_value": 0.3, "use_mask_token": False},
        (None, "layers", ("layernorm_after", "in"), "mlp.fc2", "last_hidden_state"),
    ),
    "dinov2": ({"mlp_ratio": 2, "layerscale_value": 0.4}, (None, "encoder.layer", ("norm2", "in"), "mlp.fc2", "last_hidden_state")),
    "dinov3_vit": ({"num_register_tokens": 2, "layerscale_value": 0.4}, (None, "model.layer", ("norm2", "in"), "mlp.down_proj", "last_hidden_state")),
    "siglip_vision_model": ({}, (None, "encoder.layers", ("layer_norm2", "in"), "mlp.fc2", "last_hidden_state")),
    "clip_vision_model": ({}, (None, "encoder.layers", ("layer_norm2", "in"), "mlp.fc2", "pooler_output")),
}


def all_cases() -> Iterator[Case]:
    yield from decoders()
    yield from encoders()
    yield from visions()
    yield from others()
    yield from plain()
    import caches
    import copies
    import experts
    import heads
    import joined
    import kept
    import layouts
    import stacks
    import modules
    import towers
    import variants

    yield from modules.cases()
    yield from variants.cases()
    yield from stacks.cases()
    yield from heads.cases()
    yield from layouts.cases()
    yield from joined.cases()
    yield from caches.cases()
    yield from kept.cases()
    yield from towers.cases()
    yield from experts.all_cases()
    yield from copies.cases()


ATTENTIONLESS = {"mamba", "rwkv"}


def decoders() -> Iterator[Case]:
    for number, (name, (base, own, (blocks, mid, down, parallel))) in enumerate(DECODERS.items()):
        kind = {"stablelm-parallel": "stablelm", "opt-350m": "opt", "doge-moe": "doge"}.get(name, name)
        config = {**base, **own}
        facts = {}
        if "num_key_value_heads" in config:
            facts["kv_heads"] = config["num_key_value_heads"]
        common = dict(inputs=ids(), blocks=blocks, mid=mid, down=down, parallel=parallel, facts=facts)
        if kind in ATTENTIONLESS:
            common["inputs"] = ids(mask=False)
        yield Case(f"{name}-ts-op17", build(kind, config), export=forms.torchscript(17), **common)
        yield Case(f"{name}-dynamo-op18", build(kind, config), export=forms.dynamo(18), **common)
        if kind in ATTENTIONLESS:
            continue
        if number % 3 == 0:
            yield Case(f"{name}-sdpa-op14", sdpa(kind, config), export=forms.torchscript(14), **common)
            yield Case(f"{name}-saved-all", build(kind, config), export=forms.torchscript(17), after=forms.ort_saved("all"), **common)
        if number % 3 == 1:
            yield Case(f"{name}-dynamo-op23", sdpa(kind, config), export=forms.dynamo(23), **common)
            yield Case(f"{name}-slim", build(kind, config), export=forms.torchscript(17), after=forms.slim, **common)
        if number % 3 == 2:
            yield Case(f"{name}-half", build(kind, config), export=forms.torchscript(17), after=forms.half, dtype="float16", **common)
            yield Case(
                f"{name}-fused", build(kind, config), export=forms.torchscript(17), after=forms.ort_optimised("gpt2", 4, 64), **common
            )


def sdpa(kind: str, config: dict, **options):
    """Exported with scaled_dot_product_attention; the reference is the eager model's, whose weights are the same."""

    def model():
        made = build(kind, config, **options)()
        made.exported_attention = "sdpa"
        return made

    return model


def encoders() -> Iterator[Case]:
    for number, (name, (base, own, parts)) in enumerate(ENCODERS.items()):
        if parts is None:
            continue
        blocks, mid, down = parts
        config = {**base, **own}
        repeat = 2 if name == "albert" else 1
        common = dict(inputs=ids(), blocks=blocks, mid=mid, down=down, head="last_hidden_state", repeat=repeat)
        yield Case(f"{name}-ts-op14", build(name, config, AutoModel), export=forms.torchscript(14), **common)
        yield Case(f"{name}-dynamo-op20", build(name, config, AutoModel), export=forms.dynamo(20), **common)
        if number % 2 == 0:
            yield Case(
                f"{name}-fused", build(name, config, AutoModel), export=forms.torchscript(14), after=forms.ort_optimised("bert", 4, 64), **common
            )
            yield Case(f"{name}-dynamo-op23", sdpa(name, config, auto=AutoModel), export=forms.dynamo(23), **common)
        else:
            yield Case(
                f"{name}-saved-all", build(name, config, AutoModel), export=forms.torchscript(17), after=forms.ort_saved("all"), **common
            )


def visions() -> Iterator[Case]:
    for name, (own, (part, blocks, mid, down, head)) in VISIONS.items():
        config = {**VISION, **own}
        size = config["image_size"]
        common = dict(inputs=pixels(size), blocks=blocks, mid=mid, down=down, head=head)
        yield Case(f"{name}-ts-op17", build(name, config, AutoModel), export=forms.torchscript(17), **common)
        yield Case(f"{name}-dynamo-op18", build(name, config, AutoModel), export=forms.dynamo(18), **common)
        yield Case(f"{name}-sdpa-op23", sdpa(name, config, auto=AutoModel), export=forms.dynamo(23), **common)
        yield Case(
            f"{name}-fused", build(name, config, AutoModel), export=forms.torchscript(17, static=True), after=forms.ort_optimised("vit", 4, 64), **common
        )


def others() -> Iterator[Case]:
    """Audio, text beside pictures, encoder-decoders, caches, embeddings as inputs, several outputs."""
    audio = {"input_features": torch.randn(1, 8, 40, generator=torch.Generator().manual_seed(1))}
    whisper = dict(
        vocab_size=VOCABULARY, num_mel_bins=8, d_model=64, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
        decoder_attention_heads=4, encoder_ffn_dim=96, decoder_ffn_dim=96, max_source_positions=20, max_target_positions=64,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, suppress_tokens=[], begin_suppress_tokens=[],
    )
    pre_fc2 = dict(mid=("final_layer_norm", "in"), down="fc2", head="last_hidden_state")
    for form, name in ((forms.torchscript(17), "ts-op17"), (forms.dynamo(18, static=True), "dynamo-op18")):
        yield Case(
            f"whisper-encoder-{name}", build("whisper", whisper, AutoModel, "encoder"), inputs=audio, blocks="layers", export=form, **pre_fc2
        )
    waves = {"input_values": torch.randn(1, 600, generator=torch.Generator().manual_seed(1))}
    speech = dict(
        vocab_size=VOCABULARY, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, conv_dim=(32, 32),
        conv_stride=(5, 5), conv_kernel=(10, 3), num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4, num_feat_extract_layers=2,
    )
    series = dict(
        hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, head_dim=16, patch_length=8,
        context_length=64, horizon_length=8,
    )
    steps = {
        "past_values": torch.randn(1, 64, generator=torch.Generator().manual_seed(1)),
        "past_values_padding": torch.zeros(1, 64), "freq": torch.zeros(1, 1, dtype=torch.int64),
    }
    yield Case(
        "timesfm-ts-op17", build("timesfm", series, AutoModel), inputs=steps, blocks="layers", export=forms.torchscript(17),
        head="last_hidden_state",
    )
    for kind in ("wav2vec2", "hubert"):
        for stable in (False, True):
            own = {**speech, "do_stable_layer_norm": stable, "feat_extract_norm": "layer" if stable else "group"}
            yield Case(
                f"{kind}{'-stable' if stable else ''}-ts-op17", build(kind, own, AutoModel), inputs=waves, blocks="encoder.layers",
                mid=("final_layer_norm", "in") if stable else ("layer_norm", "out"), down="feed_forward.output_dense",
                head="last_hidden_state", export=forms.torchscript(17),
            )
    spectrogram = {"input_values": torch.randn(1, 64, 16, generator=torch.Generator().manual_seed(1))}
    ast = dict(
        hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, patch_size=8, frequency_stride=8,
        time_stride=8, max_length=64, num_mel_bins=16,
    )
    yield Case(
        "ast-ts-op17", build("audio-spectrogram-transformer", ast, AutoModel), inputs=spectrogram, blocks="layers",
        mid=("layernorm_after", "in"), down="mlp.fc2", head="last_hidden_state", export=forms.torchscript(17),
    )
    text = {**BERT, "projection_dim": 32}
    for kind, blocks in (("clip_text_model", "encoder.layers"), ("siglip_text_model", "encoder.layers")):
        yield Case(
            f"{kind}-ts-op17", build(kind, text, AutoModel), inputs=ids(), blocks=blocks, mid=("layer_norm2", "in"), down="mlp.fc2",
            head="last_hidden_state", export=forms.torchscript(17),
        )
    # Text and picture in one stream, as patches and as an encoder's features.
    joined = dict(mid=POST, down="output.dense", head="last_hidden_state", blocks="encoder.layer", export=forms.torchscript(17))
    boxes = torch.randint(0, 50, (1, TOKENS, 4), generator=torch.Generator().manual_seed(3)).sort(-1).values
    layout = dict(
        max_2d_position_embeddings=100, coordinate_size=10, shape_size=12, input_size=24, image_size=24, patch_size=8, rel_2d_pos_bins=8,
        max_rel_2d_pos=16, rel_pos_bins=8, max_rel_pos=8,
    )
    yield Case(
        "layoutlmv3-ts-op17", build("layoutlmv3", {**BERT, **layout}, AutoModel), inputs={**ids(), "bbox": boxes, **pixels()}, **joined
    )
    visual = {
        "visual_embeds": torch.randn(1, 5, 16, generator=torch.Generator().manual_seed(1)),
        "visual_attention_mask": torch.ones(1, 5, dtype=torch.long),
    }
    yield Case(
        "visual_bert-ts-op17", build("visual_bert", {**BERT, "visual_embedding_dim": 16}, AutoModel), inputs={**ids(), **visual}, **joined
    )
    t5 = dict(
        vocab_size=VOCABULARY, d_model=64, d_kv=16, d_ff=96, num_layers=2, num_decoder_layers=2, num_heads=4, pad_token_id=0,
        decoder_start_token_id=0, use_cache=False, feed_forward_proj="gated-gelu", dropout_rate=0.0,
    )
    decoded = {"decoder_input_ids": ids()["input_ids"].flip(1)[:, :9].contiguous()}
    yield Case(
        "t5-encoder-ts-op17", build("t5", t5, AutoModel, "encoder"), inputs=ids(), blocks="block", down="layer.1.DenseReluDense.wo",
        mid=("layer.1.layer_norm", "in"), head="last_hidden_state", export=forms.torchscript(17),
    )
    yield Case(
        "t5-whole-ts-op17", build("t5", t5, AutoModel), inputs={**ids(), **decoded}, blocks="decoder.block", head="last_hidden_state",
        down="layer.2.DenseReluDense.wo", export=forms.torchscript(17),
    )
    bart = dict(
        vocab_size=VOCABULARY, d_model=64, encoder_layers=3, decoder_layers=2, encoder_attention_heads=4, decoder_attention_heads=4,
        encoder_ffn_dim=96, decoder_ffn_dim=96, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1, use_cache=False,
    )
    yield Case(
        "bart-whole-ts-op17", build("bart", bart, AutoModel), inputs={**ids(), **decoded}, blocks="decoder.layers", head="last_hidden_state",
        down="fc2", export=forms.torchscript(17),
    )
    yield Case(
        "whisper-whole-dynamo-op18", build("whisper", whisper, AutoModel), inputs={**audio, **decoded}, blocks="decoder.layers",
        head="last_hidden_state", down="fc2", export=forms.dynamo(18, static=True),
    )
    encoded = {"encoder_hidden_states": torch.randn(1, 7, 64, generator=torch.Generator().manual_seed(2))}
    yield Case(
        "bart-decoder-ts-op17", build("bart", bart, AutoModel, "decoder"), inputs={**ids(mask=False), **encoded}, blocks="layers",
        head="last_hidden_state", down="fc2", export=forms.torchscript(17),
    )

    llama = build("llama", LLAMA)
    parts = dict(blocks=LAYERS, mid=PRE, down="mlp.down_proj", facts={"kv_heads": 2})
    embeddings = {
        "inputs_embeds": torch.randn(1, TOKENS, 64, generator=torch.Generator().manual_seed(1)),
        "attention_mask": ids()["attention_mask"],
    }
    positions = {**ids(), "position_ids": torch.arange(TOKENS)[None]}
    yield Case("llama-inputs_embeds-ts-op17", llama, inputs=embeddings, export=forms.torchscript(17), **parts)
    yield Case("llama-inputs_embeds-dynamo-op18", llama, inputs=embeddings, export=forms.dynamo(18), **parts)
    yield Case("llama-positions-dynamo-op20", llama, inputs=positions, export=forms.dynamo(20), **parts)
    yield Case("llama-ids-only-op23", sdpa("llama", LLAMA), inputs=ids(mask=False), export=forms.dynamo(23), **parts)
    yield Case("llama-static-op23", sdpa("llama", LLAMA), inputs=ids(mask=False), export=forms.dynamo(23, static=True), **parts)
    yield Case("llama-saved-basic", llama, inputs=ids(), export=forms.torchscript(17), after=forms.ort_saved("basic"), **parts)
    yield Case("llama-saved-all", llama, inputs=ids(), export=forms.torchscript(17), after=forms.ort_saved("all"), **parts)
    bert = dict(inputs=ids(), blocks="encoder.layer", mid=POST, down="output.dense", head=("last_hidden_state", "pooler_output"))
    yield Case("bert-saved-all", build("bert", BERT, AutoModel), export=forms.torchscript(14), after=forms.ort_saved("all"), **bert)
    yield Case(
        "bert-fused-half", build("bert", BERT, AutoModel), export=forms.torchscript(14),
        after=forms.then(forms.ort_optimised("bert", 4, 64), forms.half), dtype="float16", **bert,
    )
    yield Case(
        "bert-fused-mha", build("bert", BERT, AutoModel), export=forms.torchscript(14),
        after=forms.ort_optimised("bert", 4, 64, use_multi_head_attention=True), **bert,
    )
    yield Case("bert-one-layer", build("bert", {**BERT, "num_hidden_layers": 1}, AutoModel), export=forms.torchscript(14), **bert)


SMALL = {
    **BERT, "d_model": 64, "num_layers": 2, "num_heads": 4, "attention_heads": 4, "encoder_layers": 2, "encoder_attention_heads": 4,
    "ffn_dim": 96, "num_key_value_heads": 4, "n_layer": 2, "n_head": 4, "n_embd": 64, "image_size": 24, "patch_size": 8, "dff": 96,
}
PLAIN = {
    "layoutlm": {}, "roberta-prelayernorm": {}, "data2vec-text": {}, "rembert": {}, "big_bird": {"attention_type": "original_full"},
    "xlm-roberta-xl": {}, "ernie": {}, "splinter": {}, "gpt_neox_japanese": {}, "ctrl": {}, "falcon_mamba": {}, "phi": {},
    "gemma2": {"head_dim": 16}, "gemma3_text": {"head_dim": 16}, "qwen3": {"head_dim": 16}, "mistral": {}, "modernbert-decoder": {},
    "eurobert": {}, "cwm": {}, "vaultgemma": {"head_dim": 16}, "doge": {}, "recurrent_gemma": {"lru_width": 64}, "vit_msn": {},
    "data2vec-vision": {}, "yolos": {"image_size": [24, 24]}, "ijepa": {},
}


def plain() -> Iterator[Case]:
    """Families as AutoModel gives them, with only the residual stream and the attention held against PyTorch."""
    for kind, own in PLAIN.items():
        known = AutoConfig.for_model(kind)
        config = {key: value for key, value in SMALL.items() if hasattr(known, key)} | own
        is_vision = hasattr(known, "image_size")
        inputs = pixels() if is_vision else ids(mask=kind not in ("falcon_mamba",))
        make = build(kind, config, AutoModel)
        blocks = max((len(module), name) for name, module in make().named_modules() if isinstance(module, torch.nn.ModuleList))[1]
        parallel = kind in ("phi", "gpt_neox_japanese")
        common = dict(inputs=inputs, blocks=blocks, head="last_hidden_state", parallel=parallel)
        yield Case(f"plain-{kind}-ts-op17", make, export=forms.torchscript(17), **common)
