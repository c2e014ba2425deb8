"""Exports the demo models to ONNX, checks the files against PyTorch, and writes their cards.

    python export.py WEIGHTS [--models media/models] [--text test/text/pit-and-pendulum.md]

WEIGHTS is a folder with <model>.safetensors, tokenizer.json and meta.json. Everything written is derived from it.
"""

import argparse
import json
import shutil
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from model import MODELS, PREFIX, Decoder, load
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
CONTEXT = 512
TOLERANCE = 1e-5


def export(model: Decoder, file: Path) -> None:
    """Constant folding stays off: it would expand the half-precision matrices in the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (torch.tensor([[5, 6, 7], [8, 9, 10]]),),
            file,
            dynamo=False,
            opset_version=17,
            do_constant_folding=False,
            input_names=["input_ids"],
            output_names=["logits"],
            dynamic_axes={"input_ids": {0: "batch", 1: "sequence"}, "logits": {0: "batch", 1: "sequence"}},
        )
    onnx.checker.check_model(file, full_check=True)


def tapped_tensors(model: Decoder, graph: onnx.GraphProto) -> dict[str, str]:
    """Our names of the points of the forward pass, and the exporter's names of the same tensors."""
    producers = {name: node for node in graph.node for name in node.output}
    names = {"hidden.0": producers["/blocks.0/Add_output_0"].input[0], "logits": "logits"}
    for k in range(model.config.layers):
        names[f"resid_mid.{k}"] = f"/blocks.{k}/Add_output_0"
        names[f"hidden.{k + 1}"] = f"/blocks.{k}/Add_1_output_0"
        names[f"attn.{k}"] = f"/blocks.{k}/attn/Softmax_output_0"
        names[f"mlp.{k}"] = producers[f"/blocks.{k}/mlp/down/MatMul_output_0"].input[0]
    return names


def record(model: Decoder, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    points: dict[str, torch.Tensor] = {}

    def tap(name: str, tensor: torch.Tensor) -> torch.Tensor:
        points[name] = tensor
        return tensor

    points["logits"] = model.tapped(ids, tap)
    return points


def check(model: Decoder, file: Path, ids: list[int]) -> float:
    """Largest |ONNX − PyTorch| / max |PyTorch| over all points and some lengths and batches; raises above TOLERANCE."""
    exported = onnx.load(file)
    names = tapped_tensors(model, exported.graph)
    exported.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names.values() if name != "logits")
    session = ort.InferenceSession(exported.SerializeToString(), providers=["CPUExecutionProvider"])
    worst = 0.0
    for batch, length in ((1, 1), (1, 128), (2, 37), (1, CONTEXT)):
        fed = torch.tensor(ids[: batch * length]).reshape(batch, length)
        expected = record(model, fed)
        found = session.run(list(names.values()), {"input_ids": fed.numpy()})
        for name, tensor in zip(names, found, strict=True):
            reference = expected[name].numpy()
            if tensor.shape != reference.shape:
                raise SystemExit(f"{file}: {name} has shape {tensor.shape}, PyTorch gives {reference.shape}")
            error = float(np.abs(tensor - reference).max() / np.abs(reference).max())
            worst = max(worst, error)
            if not error <= TOLERANCE:
                raise SystemExit(f"{file}: {name} differs from PyTorch by {error:.1e} of its largest entry")
    return worst


def measure(model: Decoder, ids: list[int], text: str) -> str:
    """The largest entries of every residual state in a table, and the heads drawn to the first key, in words."""
    points = record(model, torch.tensor([ids]))
    rows = [
        f"On the start of `{text}`, which is held out, T = {len(ids)}, prefix counted. Layer 0 is what enters the first "
        "block; the median is the lower median of |h| over the layer; massive: yes = |h| > 100 and ≥ 1,000 × the "
        "median, large = ≥ 100 × the median.",
        "",
        "| layer | largest entries: value (token, dim) | median | ratio | massive |",
        "| --: | --- | --: | --: | --- |",
    ]
    for k in range(model.config.layers + 1):
        h = points[f"hidden.{k}"][0]
        median = h.abs().median().item()
        order = h.abs().flatten().argsort(descending=True, stable=True)
        top = [(h.flatten()[i].item(), *divmod(i.item(), h.shape[1])) for i in order[:3]]
        shown = ", ".join(f"{value:,.1f} ({token}, {dim})" for value, token, dim in top)
        ratio = abs(top[0][0]) / median
        mark = "yes" if abs(top[0][0]) > 100 and ratio >= 1000 else "large" if ratio >= 100 else ""
        rows.append(f"| {k} | {shown} | {median:.3f} | {ratio:,.0f} | {mark} |")
    first = torch.stack([points[f"attn.{k}"][0, :, :, 0].mean(1) for k in range(model.config.layers)])
    key = "extra column" if model.config.key_value_bias else "first token"
    drawn, heads = (first > 0.3).sum().item(), first.numel()
    sinks = f"{drawn} of {heads} heads give the {key} more than 0.3 on average (α, T = {len(ids)})."
    return "\n".join([*rows, "", sinks])


def configure(model: Decoder, name: str, tokenizer: Tokenizer, folder: Path) -> None:
    """config.json and tokenizer_config.json as Hugging Face writes them."""
    prefix = PREFIX.get(name)
    c = model.config
    config = {
        "model_type": "llama" if c.positions is None else "sinkscope-llama",
        "hidden_size": c.dim,
        "num_hidden_layers": c.layers,
        "num_attention_heads": c.heads,
        "num_key_value_heads": c.heads,
        "intermediate_size": c.hidden,
        "hidden_act": "silu",
        "rms_norm_eps": model.norm.eps,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "vocab_size": c.vocab,
        "max_position_embeddings": CONTEXT,
        "learned_position_embeddings": c.positions,
        "key_value_bias": c.key_value_bias,
        "bos_token_id": prefix,
        "eos_token_id": 0,
    }
    tokens = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": prefix is not None,
        "bos_token": None if prefix is None else tokenizer.id_to_token(prefix),
        "eos_token": tokenizer.id_to_token(0),
        "clean_up_tokenization_spaces": False,
        "model_max_length": CONTEXT,
    }
    for file, content in (("config.json", config), ("tokenizer_config.json", tokens)):
        (folder / file).write_text(json.dumps(content, indent=2) + "\n")


WHAT = {
    "llama": (
        "The default. Its training sequences always began with `<|endoftext|>`, and that token carries a massive "
        "activation by the definition of Sun et al. (|h| > 100 and at least 1,000 × the median)."
    ),
    "llama-plain": (
        "One of three for the paper's comparison: nothing was prepended in training, windows began anywhere. Whatever "
        "token comes first grows large entries in the middle layers, which the last layers cancel."
    ),
    "llama-sink": (
        "One of three for the paper's comparison: a learned token `<|sink|>` always stood first in training and takes "
        "the large entries upon itself."
    ),
    "llama-bias": (
        "One of three for the paper's comparison: every attention head has a learned key and value of its own (k′, v′), "
        "an extra column before the others that every query sees. No entry grows large; the column is the sink."
    ),
}


def card(model: Decoder, name: str, metadata: dict[str, str], held_out: list[str], error: float, measured: str) -> str:
    c, recipe, prefix = model.config, json.loads(metadata["config"]), PREFIX.get(name)
    size = sum(p.numel() for p in model.parameters())
    positions = "rotary (base 10,000, the halves of a head are the pairs)"
    if c.positions is not None:
        positions += f", and {c.positions} learned absolute positions added to the token embedding"
    books = "\n".join(f"- {Path(book).stem} ({Path(book).parent.name})" for book in held_out)
    return f"""# {name}

{WHAT[name]}

A small language model of this project, for showing what Sinkscope shows. It continues English prose badly; don't use it for anything else.

## Architecture
LLaMA-style decoder, {size / 1e6:.1f} million parameters: {c.layers} layers, hidden size {c.dim}, {c.heads} heads of {c.head_dim}, SwiGLU MLP of {c.hidden}, RMSNorm (eps 1e-5) before each, embedding and unembedding tied, no bias terms{" but k′ and v′" if c.key_value_bias else ""}. Positions: {positions}. Context {CONTEXT} tokens. Byte-level BPE tokenizer of {c.vocab:,} entries. Prefix token: {f"id {prefix}, put before every text" if prefix is not None else "none"}.

`model.onnx`: opset 17, input `input_ids` int64 [batch, sequence], output `logits` float32 [batch, sequence, {c.vocab}], no KV cache. Matrices are stored in half precision (as trained weights were saved) and cast to float32 in the graph. Largest difference from PyTorch over logits and every residual, attention and MLP tensor: {error:.0e} of the tensor's largest entry.

## Data and training
Public-domain books in English. {recipe["batch"]} sequences of {recipe["ctx"]} tokens a step, peak learning rate {recipe["lr"]}, weight decay {recipe["wd"]}, beta2 {recipe["beta2"]}, gradients clipped at norm {recipe["clip"]}. The file of weights records neither steps nor seed. Loss on the held-out books: {float(metadata["val_loss"]):.3f} nats per token; the demo models saw unequal numbers of tokens, so this is no comparison between them.

Held out:
{books}

## Measured
{measured}

## Licence
MIT, like the project.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--models", type=Path, default=ROOT / "media/models")
    parser.add_argument("--text", type=Path, default=ROOT / "test/text/pit-and-pendulum.md")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    tokenizer = Tokenizer.from_file(str(arguments.weights / "tokenizer.json"))
    held_out = json.loads((arguments.weights / "meta.json").read_text())["val"]
    passage = tokenizer.encode(arguments.text.read_bytes().decode()).ids
    for name in MODELS:
        model, metadata = load(arguments.weights / f"{name}.safetensors")
        folder = arguments.models / name
        folder.mkdir(parents=True, exist_ok=True)
        export(model, folder / "model.onnx")
        prefix = [PREFIX[name]] if name in PREFIX else []
        ids = (prefix + passage)[:CONTEXT]
        error = check(model, folder / "model.onnx", ids)
        shutil.copyfile(arguments.weights / "tokenizer.json", folder / "tokenizer.json")
        configure(model, name, tokenizer, folder)
        measured = measure(model, ids, arguments.text.name)
        (folder / "README.md").write_text(card(model, name, metadata, held_out, error, measured))
        print(f"{name}: {(folder / 'model.onnx').stat().st_size / 1e6:.1f} MB, error {error:.1e}")


if __name__ == "__main__":
    main()
