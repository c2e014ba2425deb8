"""Models whose head gives no scores over a vocabulary, and models with inputs that have to be told apart."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import nn
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoModel,
)

import forms
from export import TOKENS, VOCABULARY, Case

HIDDEN, HEADS, WIDTH = 64, 4, 96
SEQUENCE, TOKEN, ANSWER = AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoModelForQuestionAnswering


def hugging_face() -> Iterator[Case]:
    from cases import BERT, GPT2, LAYERS, LLAMA, PRE, build, ids

    types = {**ids(), "token_type_ids": torch.zeros(1, TOKENS, dtype=torch.int64)}
    post = dict(mid=("attention.output", "out"), down="output.dense")
    distil = dict(vocab_size=VOCABULARY, dim=64, n_layers=2, n_heads=4, hidden_dim=96, max_position_embeddings=64, pad_token_id=0)
    t5 = dict(vocab_size=VOCABULARY, d_model=64, d_kv=16, d_ff=96, num_layers=2, num_heads=4, pad_token_id=0, dropout_rate=0.0)
    deberta = {**BERT, "pos_att_type": ["p2c", "c2p"], "relative_attention": True, "position_buckets": 8, "type_vocab_size": 0}
    ts, dy = forms.torchscript(17), forms.dynamo(18)

    def case(name, kind, config, auto, blocks, export=ts, inputs=None, head="logits", columns=None, **more):
        config = {**config, **({"num_labels": columns} if columns else {})}
        return Case(f"head-{name}", build(kind, config, auto), inputs=inputs or ids(), blocks=blocks, export=export, head=head, **more)

    encoder = "bert.encoder.layer"
    yield case("bert-two-classes-ts", "bert", BERT, SEQUENCE, encoder, inputs=types, columns=2, **post)
    yield case("bert-two-classes-dy", "bert", BERT, SEQUENCE, encoder, dy, inputs=types, columns=2, **post)
    yield case("bert-one-score-ts", "bert", BERT, SEQUENCE, encoder, inputs=types, columns=1, **post)
    yield case("bert-tokens-dy", "bert", BERT, TOKEN, encoder, dy, inputs=types, columns=9, **post)
    yield case("bert-answer-ts", "bert", BERT, ANSWER, encoder, inputs=types, head=("start_logits", "end_logits"), **post)
    yield case("bert-answer-dy", "bert", BERT, ANSWER, encoder, dy, inputs=types, head=("start_logits", "end_logits"), **post)
    positions = {**types, "position_ids": torch.arange(TOKENS)[None]}
    small = {**BERT, "vocab_size": 30, "max_position_embeddings": 512}
    few = {**positions, "input_ids": positions["input_ids"] % 25 + 3}
    yield case("bert-small-vocabulary-ts", "bert", small, SEQUENCE, encoder, inputs=few, columns=2, **post)
    yield case("bert-many-classes-ts", "bert", {**BERT, "max_position_embeddings": 40}, SEQUENCE, encoder, inputs=positions, columns=40, **post)
    for name in ("roberta", "xlm-roberta", "camembert"):
        config = {**BERT, "max_position_embeddings": 66, "type_vocab_size": 1, "pad_token_id": 1}
        yield case(f"{name}-classes-ts", name, config, SEQUENCE, "roberta.encoder.layer", columns=3, **post)
    yield case("roberta-tokens-dy", "roberta", {**BERT, "max_position_embeddings": 66, "pad_token_id": 1}, TOKEN, "roberta.encoder.layer", dy, columns=5, **post)
    distilled = dict(mid=("sa_layer_norm", "out"), down="ffn.lin2")
    for task, auto, head in (("classes", SEQUENCE, "logits"), ("tokens", TOKEN, "logits"), ("answer", ANSWER, ("start_logits", "end_logits"))):
        yield case(f"distilbert-{task}-ts", "distilbert", distil, auto, "distilbert.transformer.layer", head=head, **distilled)
        yield case(f"distilbert-{task}-dy", "distilbert", distil, auto, "distilbert.transformer.layer", dy, head=head, **distilled)
    yield case("deberta-v2-classes-ts", "deberta-v2", deberta, SEQUENCE, "deberta.encoder.layer", columns=3)
    yield case("deberta-v2-tokens-ts", "deberta-v2", deberta, TOKEN, "deberta.encoder.layer", columns=3)
    yield case("electra-classes-ts", "electra", {**BERT, "embedding_size": 64}, SEQUENCE, "electra.encoder.layer", inputs=types, columns=2, **post)
    yield case("albert-classes-ts", "albert", {**BERT, "embedding_size": 32}, SEQUENCE, "albert.encoder.albert_layer_groups.0.albert_layers", inputs=types, columns=3, repeat=2)
    yield case("mpnet-classes-ts", "mpnet", {**BERT, "max_position_embeddings": 66}, SEQUENCE, "mpnet.encoder.layer", columns=3)
    modern = {**BERT, "global_attn_every_n_layers": 2, "cls_token_id": 1, "sep_token_id": 2}
    yield case("modernbert-classes-dy", "modernbert", modern, SEQUENCE, "model.layers", dy, columns=3)
    yield case("esm-tokens-ts", "esm", {**BERT, "vocab_size": 33, "position_embedding_type": "rotary"}, TOKEN, "esm.encoder.layer", inputs={"input_ids": ids()["input_ids"] % 20 + 4, "attention_mask": ids()["attention_mask"]}, columns=20)
    decoder = dict(mid=PRE, down="mlp.down_proj", facts={"kv_heads": 2})
    yield case("llama-classes-ts", "llama", LLAMA, SEQUENCE, LAYERS, columns=3, **decoder)
    yield case("llama-classes-dy", "llama", LLAMA, SEQUENCE, LAYERS, dy, columns=3, **decoder)
    yield case("llama-tokens-ts", "llama", LLAMA, TOKEN, LAYERS, columns=5, **decoder)
    yield case("qwen2-score-ts", "qwen2", LLAMA, SEQUENCE, LAYERS, columns=1, **decoder)
    yield case("gpt2-classes-dy", "gpt2", GPT2, SEQUENCE, "transformer.h", dy, columns=2, mid=("ln_2", "in"), down="mlp.c_proj")
    yield case("gpt2-tokens-ts", "gpt2", GPT2, TOKEN, "transformer.h", columns=4, mid=("ln_2", "in"), down="mlp.c_proj")
    yield case("t5-tokens-ts", "t5", t5, TOKEN, "transformer.encoder.block", columns=4, mid=("layer.1.layer_norm", "in"), down="layer.1.DenseReluDense.wo")
    text = {**BERT, "projection_dim": 32, "bos_token_id": 98, "eos_token_id": 99}
    ended = {**ids()}
    ended["input_ids"] = torch.cat([ended["input_ids"][:, :-1] % 90 + 3, torch.tensor([[99]])], 1)
    from transformers import CLIPTextConfig, CLIPTextModelWithProjection

    def clip():
        return CLIPTextModelWithProjection._from_config(CLIPTextConfig(**text), attn_implementation="eager")

    clipped = dict(blocks="text_model.encoder.layers", mid=("layer_norm2", "in"), down="mlp.fc2", head="text_embeds", inputs=ended)
    yield Case("head-clip-text-ts", clip, export=ts, **clipped)
    both = dict(inputs={**types, "token_type_ids": torch.zeros(1, TOKENS, dtype=torch.int64)}, blocks="transformer.h", mid=("ln_2", "in"), down="mlp.c_proj")
    from transformers import AutoModelForCausalLM

    yield Case("input-gpt2-types-ts", build("gpt2", GPT2, AutoModelForCausalLM), export=ts, **both)
    turned = {**both, "inputs": {key: both["inputs"][key] for key in ("token_type_ids", "attention_mask", "input_ids")}}
    yield Case("input-gpt2-types-first-dy", build("gpt2", GPT2, AutoModelForCausalLM), export=dy, **turned)
    placed = {**ids(), "token_type_ids": types["token_type_ids"], "position_ids": torch.arange(TOKENS)[None]}
    yield Case("input-gpt2-all-ts", build("gpt2", GPT2, AutoModelForCausalLM), export=ts, **{**both, "inputs": placed})
    embedded = {
        "inputs_embeds": torch.randn(1, TOKENS, 64, generator=torch.Generator().manual_seed(1)),
        "attention_mask": ids()["attention_mask"], "token_type_ids": types["token_type_ids"], "position_ids": torch.arange(TOKENS)[None],
    }
    yield case("bert-embeds-ts", "bert", BERT, SEQUENCE, encoder, inputs=embedded, columns=3, **post)
    boxed = {**types, "bbox": torch.zeros(1, TOKENS, 4, dtype=torch.int64)}
    yield case("layoutlm-tokens-ts", "layoutlm", {**BERT, "max_2d_position_embeddings": 128}, TOKEN, "layoutlm.encoder.layer", inputs=boxed, columns=5, **post)
    yield case("layoutlm-tokens-dy", "layoutlm", {**BERT, "max_2d_position_embeddings": 128}, TOKEN, "layoutlm.encoder.layer", dy, inputs=boxed, columns=5, **post)
    vision = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, image_size=24, patch_size=8, num_channels=3)
    from transformers import AutoModelForImageClassification

    from cases import pixels

    yield case("vit-classes-ts", "vit", vision, AutoModelForImageClassification, "vit.layers", inputs=pixels(), columns=7)


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(HIDDEN, HIDDEN) for _ in range(4))

    def forward(self, x, masked):
        batch, tokens, _ = x.shape
        split = lambda y: y.view(batch, tokens, HEADS, -1).transpose(1, 2)
        scores = split(self.q(x)) @ split(self.k(x)).transpose(-1, -2) / math.sqrt(HIDDEN / HEADS)
        pattern = torch.softmax(masked(scores), -1)
        return self.o((pattern @ split(self.v(x))).transpose(1, 2).reshape(batch, tokens, HIDDEN))


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2, self.attention = nn.LayerNorm(HIDDEN), nn.LayerNorm(HIDDEN), Attention()
        self.up, self.down = nn.Linear(HIDDEN, WIDTH), nn.Linear(WIDTH, HIDDEN)

    def forward(self, h, masked):
        h = h + self.attention(self.n1(h), masked)
        return h + self.down(torch.nn.functional.gelu(self.up(self.n2(h))))


class Written(nn.Module):
    """A hand-written encoder: how it masks, what it adds to its embeddings, what its head gives."""

    def __init__(self, mask: str | None = None, added: tuple[str, ...] = (), head: str = "vocabulary", causal=False):
        super().__init__()
        self.mask, self.added, self.kind, self.causal = mask, added, head, causal
        self.tokens = nn.Embedding(VOCABULARY, HIDDEN)
        self.tables = nn.ModuleDict({name: nn.Embedding(rows, HIDDEN) for name, rows in ROWS.items() if name in added})
        self.layers = nn.ModuleList(Layer() for _ in range(2))
        self.norm = nn.LayerNorm(HIDDEN)
        columns = {"vocabulary": VOCABULARY, "mean": 3, "unit": HIDDEN, "softmax": 4, "regression": 1, "colbert": 24}[head]
        self.out = nn.Linear(HIDDEN, columns)

    def forward(self, input_ids, **inputs):
        h = self.tokens(input_ids)
        given = inputs.get(self.mask) if self.mask else None
        for name in self.added:
            table = self.tables[name]
            h = h + (table(inputs[name])[:, None] if name in ("task", "lang") else table(inputs[name]))
        masked = masking(self.mask, given, input_ids, self.causal)
        for layer in self.layers:
            h = layer(h, masked)
        h = self.norm(h)
        if self.kind == "mean":
            h = h.mean(1)
        if self.kind == "unit":
            keep = given.to(h.dtype)[..., None]
            return torch.nn.functional.normalize((h * keep).sum(1) / keep.sum(1).clamp(min=1e-9), dim=-1)
        y = self.out(h)
        if self.kind == "softmax":
            return torch.softmax(y[:, 0], -1)
        if self.kind == "regression":
            return y.squeeze(-1)
        return torch.nn.functional.normalize(y, dim=-1) if self.kind == "colbert" else y


ROWS = {"segments": 3, "positions": 64, "age": 80, "task": 6, "lang": 20, "speaker_ids": 2}


def masking(kind: str | None, given, input_ids, causal):
    """What is done to the scores, by the kind of mask."""
    fill = -1e9
    tokens = input_ids.shape[1]
    later = torch.triu(torch.ones(tokens, tokens, dtype=torch.bool), 1) if causal else None

    def apply(scores):
        if kind in ("key_padding", "encoder_padding_mask"):
            scores = scores.masked_fill(given.bool()[:, None, None], float("-inf"))
        elif kind == "ignored":
            scores = scores + given.to(scores.dtype)[:, None, None] * fill
        elif kind == "attention_mask":
            scores = scores.masked_fill((given == 0)[:, None, None], fill)
        elif kind == "visible":
            scores = scores + (1.0 - given.to(scores.dtype)[:, None, None]) * -10000.0
        elif kind == "added_mask":
            scores = scores + given[:, None, None]
        elif kind == "log_mask":
            scores = scores + torch.log(given.to(scores.dtype))[:, None, None].clamp(min=-1e30)
        elif kind == "lengths":
            scores = scores.masked_fill((torch.arange(tokens)[None] >= given[:, None])[:, None, None], fill)
        elif kind == "x_len":
            scores = scores.masked_fill(~(torch.arange(tokens)[None] < given[:, None])[:, None, None], fill)
        elif kind == "global_mask":
            near = (torch.arange(tokens)[:, None] - torch.arange(tokens)[None]).abs() <= 2
            open_ = near[None] | given.bool()[:, None] | given.bool()[:, :, None]
            scores = scores.masked_fill(~open_[:, None], fill)
        elif kind == "pairs":
            scores = scores + given
        if later is not None:
            scores = scores.masked_fill(later, fill)
        return scores

    return apply


def written() -> Iterator[Case]:
    from cases import ids

    tokens = ids(mask=False)
    ones, zeros = torch.ones(1, TOKENS, dtype=torch.int64), torch.zeros(1, TOKENS, dtype=torch.int64)
    length = torch.tensor([TOKENS])
    values = {
        "key_padding": zeros.bool(), "encoder_padding_mask": zeros, "ignored": zeros, "attention_mask": ones, "visible": ones.float(),
        "added_mask": zeros.float(), "log_mask": ones, "lengths": length, "x_len": length, "global_mask": zeros, "pairs": torch.zeros(TOKENS, TOKENS),
    }
    def forms_of(name):
        return (("ts", forms.torchscript(17)), ("dy", forms.dynamo(18)))

    def case(name, inputs, export, options):
        return Case(name, lambda: Written(**options), inputs={**tokens, **inputs}, blocks="layers", mid=("n2", "in"), down="down", export=export)

    for kind, value in values.items():
        for form, export in forms_of(kind):
            yield case(f"input-{kind}-{form}", {kind: value}, export, dict(mask=kind))
            if kind in ("key_padding", "attention_mask"):
                yield case(f"input-causal-{kind}-{form}", {kind: value}, export, dict(mask=kind, causal=True))
    own = {
        "segments": zeros, "positions": torch.arange(TOKENS)[None], "age": zeros, "task": torch.tensor([2]), "lang": torch.tensor([0]), "speaker_ids": zeros,
    }
    for name, value in own.items():
        for form, export in forms_of(name):
            yield case(f"input-{name}-{form}", {name: value}, export, dict(added=(name,)))
    for head in ("mean", "softmax", "regression", "colbert"):
        for form, export in forms_of(head):
            yield case(f"head-{head}-{form}", {"attention_mask": ones}, export, dict(mask="attention_mask", head=head))
    for form, export in forms_of("unit"):
        yield case(f"head-unit-{form}", {"attention_mask": ones}, export, dict(mask="attention_mask", head="unit"))


def cases() -> Iterator[Case]:
    yield from hugging_face()
    yield from written()
