"""A decoder with past keys as Optimum writes it beside an encoder (T5), with PyTorch's golden.

    python past.py OUT

makes OUT/cross-t5-optimum-past. Besides requirements.txt: optimum-onnx 0.1.0, and transformers 4.57.3, which that needs.
"""

import sys
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForSeq2SeqLM

from cases import build
from export import VOCABULARY, Case, make
from towers import LONG, SHORT, Streams

# The third layer's scores are the second whose biases are those of the first.
T5 = dict(
    vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=48, num_layers=1, num_decoder_layers=3, num_heads=4,
    relative_attention_num_buckets=8, pad_token_id=0, eos_token_id=2, decoder_start_token_id=0,
)


def optimum(wrapped, _inputs, _head, path: Path):
    """optimum onnx_export_from_model(task='text2text-generation-with-past', opset=18), its decoder_with_past_model"""
    from optimum.exporters.onnx import onnx_export_from_model

    with tempfile.TemporaryDirectory() as folder:
        task = "text2text-generation-with-past"
        onnx_export_from_model(wrapped.m, Path(folder), task=task, opset=18, do_validation=False)
        path.write_bytes((Path(folder) / "decoder_with_past_model.onnx").read_bytes())


def main(out: Path):
    generator = torch.Generator().manual_seed(3)
    source, target = (torch.randint(3, VOCABULARY, (1, length), generator=generator) for length in (LONG, SHORT))
    inputs = {"input_ids": target, "encoder_attention_mask": torch.ones_like(source)}

    def golden(model, _):
        """Of a run without a cache; the keys and values of the encoder are what such a run leaves in one."""
        capture = Streams(list(model.decoder.block), down="layer.2.DenseReluDense.wo")
        found, output = capture(model, {"input_ids": source, "decoder_input_ids": target, "use_cache": False})
        with torch.no_grad():
            given = model(input_ids=source, decoder_input_ids=target, use_cache=True).past_key_values
        for layer, kept in enumerate(given.cross_attention_cache.layers):
            inputs[f"past_key_values.{layer}.encoder.key"] = kept.keys
            inputs[f"past_key_values.{layer}.encoder.value"] = kept.values
            for part in ("key", "value"):
                inputs[f"past_key_values.{layer}.decoder.{part}"] = torch.zeros(1, 4, 0, 8)
        return found, output

    make(Case("cross-t5-optimum-past", build("t5", T5, AutoModelForSeq2SeqLM), inputs, "decoder.block", optimum, golden=golden), out)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
