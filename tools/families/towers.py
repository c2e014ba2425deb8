"""Several residual streams in one graph: text and vision side by side, an encoder and its decoder; cross-attention."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import nn
from transformers import AutoModel, AutoModelForSeq2SeqLM, AutoModelForSpeechSeq2Seq, CLIPConfig, CLIPModel

import forms
from capture import Capture, squeezed
from cases import build, ids, pixels
from export import VOCABULARY, Case

HIDDEN, HEADS, WIDTH = 32, 4, 48
LONG, SHORT = 12, 9


class Streams(Capture):
    """Takes the second pattern of a block for its cross-attention, `cross.k` [heads, tokens, encoder positions]."""

    def record(self, kind: str, value: torch.Tensor, index: int | None = None):
        known = self.tensors.get(f"attn.{index}") if kind == "attn" else None
        if known is not None:
            # One softmax may call another.
            if torch.equal(known, squeezed(value, 3)):
                return
            kind = "cross"
        super().record(kind, value, index)


def golden(blocks: str, head, mid=None, down=None):
    """Recorded of one stream of the model."""

    def record(model, inputs):
        capture = Streams(list(model.get_submodule(blocks)), mid, down)
        found, output = capture(model, inputs)
        return found, (output if torch.is_tensor(output) else getattr(output, head))

    return record


def facts_of(stream: str) -> dict:
    """An encoder has no output of its own."""
    return {"stream": stream, **({"head": "none"} if stream == "encoder" else {})}


class Layer(nn.Module):
    """Self-attention, cross-attention where there is memory, MLP; norms before or after."""

    def __init__(self, crosses: bool, pre: bool):
        super().__init__()
        self.pre = pre
        self.norms = nn.ModuleList(nn.LayerNorm(HIDDEN) for _ in range(3))
        self.own = nn.ModuleList(nn.Linear(HIDDEN, HIDDEN) for _ in range(4))
        self.other = nn.ModuleList(nn.Linear(HIDDEN, HIDDEN) for _ in range(4)) if crosses else None
        self.up, self.down = nn.Linear(HIDDEN, WIDTH), nn.Linear(WIDTH, HIDDEN)

    @staticmethod
    def attend(parts, x, memory, causal: bool):
        split = lambda value: value.view(value.shape[0], -1, HEADS, HIDDEN // HEADS).transpose(1, 2)
        q, k, v = split(parts[0](x)), split(parts[1](memory)), split(parts[2](memory))
        scores = q @ k.transpose(2, 3) / (HIDDEN // HEADS) ** 0.5
        if causal:
            length = scores.shape[-1]
            scores = scores.masked_fill(~torch.ones(length, length, dtype=torch.bool).tril(), -1e9)
        return parts[3]((torch.softmax(scores, -1) @ v).transpose(1, 2).reshape(x.shape))

    def forward(self, h, memory=None, causal=False):
        branches = [lambda x: self.attend(self.own, x, x, causal)]
        if self.other is not None:
            branches.append(lambda x: self.attend(self.other, x, memory, False))
        branches.append(lambda x: self.down(torch.relu(self.up(x))))
        for norm, branch in zip(self.norms, branches):
            h = h + branch(norm(h)) if self.pre else norm(h + branch(h))
        return h


class Tower(nn.Module):
    def __init__(self, layers: int, crosses=False, pre=True, tokens=True):
        super().__init__()
        self.table = nn.Embedding(VOCABULARY, HIDDEN) if tokens else nn.Conv1d(8, HIDDEN, 3, padding=1)
        self.places = nn.Parameter(torch.zeros(32, HIDDEN))
        self.layers = nn.ModuleList(Layer(crosses, pre) for _ in range(layers))
        self.norm = nn.LayerNorm(HIDDEN)
        self.crosses, self.tokens = crosses, tokens

    def forward(self, x, memory=None):
        h = self.table(x) if self.tokens else self.table(x).transpose(1, 2)
        h = h + self.places[: h.shape[1]]
        for layer in self.layers:
            h = layer(h, memory, self.crosses)
        return self.norm(h)


class Translator(nn.Module):
    """An encoder that is deeper than its decoder, and a vocabulary; its one output is the decoder's."""

    def __init__(self, pre: bool, speech: bool):
        super().__init__()
        self.encoder, self.decoder = Tower(3, pre=pre, tokens=not speech), Tower(2, crosses=True, pre=pre)
        self.head = nn.Linear(HIDDEN, VOCABULARY)

    def forward(self, source, decoder_target):
        return self.head(self.decoder(decoder_target, self.encoder(source)))


def numbers(length: int, seed: int) -> torch.Tensor:
    return torch.randint(3, VOCABULARY, (1, length), generator=torch.Generator().manual_seed(seed))


def cases() -> Iterator[Case]:
    ts, dy = forms.torchscript(17), forms.dynamo(18)
    tower = dict(hidden_size=HIDDEN, intermediate_size=WIDTH, num_attention_heads=HEADS, projection_dim=16)
    text = {**tower, "vocab_size": VOCABULARY, "max_position_embeddings": 32, "bos_token_id": 98, "eos_token_id": 99, "pad_token_id": 0}
    picture = {**tower, "image_size": 24, "patch_size": 8}
    ended = torch.cat([ids()["input_ids"][:, :-1] % 90 + 3, torch.tensor([[99]])], 1)
    both = {"input_ids": ended, **pixels(), "attention_mask": torch.ones_like(ended)}

    def clip(layers: tuple[int, int]):
        def made():
            config = CLIPConfig(
                text_config={**text, "num_hidden_layers": layers[0]}, vision_config={**picture, "num_hidden_layers": layers[1]}, projection_dim=16
            )
            return CLIPModel._from_config(config, attn_implementation="eager")

        return made

    outputs = ("text_embeds", "image_embeds")
    mid, down = ("layer_norm2", "in"), "mlp.fc2"
    for name, layers, export in (("clip-ts17", (2, 2), ts), ("clip-dy18", (3, 2), forms.dynamo(18, static=True))):
        parts = {
            "text": ("text_model.encoder.layers", mid, down, "text_embeds", {}),
            "vision": ("vision_model.encoder.layers", mid, down, "image_embeds", {}),
        }
        for stream, (blocks, *_, own, facts) in parts.items():
            order = (own, *(o for o in outputs if o != own))
            yield Case(
                f"towers-{name}-{stream}", clip(layers), inputs=both, blocks=blocks, export=export, head=order,
                golden=golden(blocks, own, mid, down), facts={"stream": stream, **facts},
            )

    target = {"decoder_input_ids": numbers(SHORT, 2)}
    t5 = dict(
        vocab_size=VOCABULARY, d_model=HIDDEN, d_kv=8, d_ff=WIDTH, num_layers=3, num_decoder_layers=2, num_heads=HEADS, pad_token_id=0,
        decoder_start_token_id=0, use_cache=False, feed_forward_proj="relu", dropout_rate=0.0,
    )
    bart = dict(
        vocab_size=VOCABULARY, d_model=HIDDEN, encoder_layers=3, decoder_layers=2, encoder_attention_heads=HEADS, decoder_attention_heads=HEADS,
        encoder_ffn_dim=WIDTH, decoder_ffn_dim=WIDTH, max_position_embeddings=32, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        decoder_start_token_id=1, use_cache=False,
    )
    whisper = dict(
        vocab_size=VOCABULARY, num_mel_bins=8, d_model=HIDDEN, encoder_layers=2, decoder_layers=2, encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS, encoder_ffn_dim=WIDTH, decoder_ffn_dim=WIDTH, max_source_positions=20, max_target_positions=32,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, suppress_tokens=[], begin_suppress_tokens=[], use_cache=False,
    )
    audio = {"input_features": torch.randn(1, 8, 40, generator=torch.Generator().manual_seed(1))}
    seq2seq, speech = AutoModelForSeq2SeqLM, AutoModelForSpeechSeq2Seq
    wholes = [
        ("t5-ts17", build("t5", t5, seq2seq), {**ids(), **target}, ts, "encoder.block", "layer.1.DenseReluDense.wo", "decoder.block", "layer.2.DenseReluDense.wo"),
        ("bart-dy18", build("bart", bart, seq2seq), {**ids(), **target}, forms.dynamo(18, static=True), "model.encoder.layers", "fc2", "model.decoder.layers", "fc2"),
        ("whisper-dy18", build("whisper", whisper, speech), {**audio, **target}, forms.dynamo(18, static=True), "model.encoder.layers", "fc2", "model.decoder.layers", "fc2"),
    ]
    for name, model, inputs, export, enc, enc_down, dec, dec_down in wholes:
        for stream, blocks, own_down in (("encoder", enc, enc_down), ("decoder", dec, dec_down)):
            yield Case(
                f"towers-{name}-{stream}", model, inputs=inputs, blocks=blocks, export=export, head="logits",
                golden=golden(blocks, "logits", None, own_down), facts=facts_of(stream),
            )
    encoded = {"encoder_hidden_states": torch.randn(1, SHORT + 2, HIDDEN, generator=torch.Generator().manual_seed(2))}
    for name, export in (("ts17", ts), ("op23", forms.dynamo(23, static=True))):
        yield Case(
            f"cross-bart-decoder-{name}", build("bart", bart, AutoModel, "decoder", "eager"), blocks="layers", export=export,
            inputs={"input_ids": numbers(SHORT, 3), **encoded}, head="last_hidden_state", golden=golden("layers", "last_hidden_state", None, "fc2"),
        )
    own = {"source": numbers(LONG, 4), "decoder_target": numbers(SHORT, 5)}
    heard = {"source": torch.randn(1, 8, LONG, generator=torch.Generator().manual_seed(6)), "decoder_target": numbers(SHORT, 5)}
    for name, pre, is_speech, inputs, export in (("pre-ts17", True, False, own, ts), ("post-ts17", False, False, own, ts), ("speech-dy18", True, True, heard, forms.dynamo(18, static=True))):
        for stream in ("encoder", "decoder"):
            yield Case(
                f"towers-own-{name}-{stream}", lambda pre=pre, is_speech=is_speech: Translator(pre, is_speech), inputs=inputs, blocks=f"{stream}.layers",
                export=export, head="logits", golden=golden(f"{stream}.layers", "logits", None, "down"), facts=facts_of(stream),
            )
