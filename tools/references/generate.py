"""Writes test/references/generate.json, what the demo models and fixtures with a cache write, by PyTorch, and
test/pure/statistics/sampling.json.

    python tools/references/generate.py

Needs transformers 5.23.0 beside tools/demo-models/requirements.txt. The demo models are run on the whole text for every
token; the fixtures are rebuilt in transformers from the weights in their files, held against their goldens, and written
on with by `generate`, which uses a cache; all others with a cache have rounded weights, or none under names that
transformers knows: they are run on the whole text for every token, without a cache, by ONNX Runtime in Python, whose
logits of the prompt are held against their goldens of PyTorch. `sampling` is what transformers' warpers make of random logits.
"""

import json
import re
import sys

# transformers imports a package `kernels` where it finds one, and there is a script of that name beside this one.
beside = sys.path.pop(0)
from transformers import (  # noqa: E402
    BloomConfig,
    BloomForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    OPTForCausalLM,
    PhiConfig,
    PhiForCausalLM,
)
from transformers.generation.logits_process import (  # noqa: E402
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

sys.path.insert(0, beside)
import numpy as np  # noqa: E402
import onnx  # noqa: E402
import onnxruntime  # noqa: E402
import torch  # noqa: E402
from onnx import numpy_helper  # noqa: E402
from reference import MODELS, ROOT, load, prefix_of, record, text_ids, write  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

TOKENS = 24
FIXTURES = ROOT / "test/zoo/fixtures"
# Tokens of the first see those after them; the next two do not begin with an empty cache; those of `caches.py` have axes
# in places of their own, and are held to a run of everything at every place where a text can be cut; of the last an
# encoder's keys have to be given.
WITHOUT = (
    *(f"cache-{form}-ts-op17" for form in ("heads-by-layer", "keys-turned", "stacked", "tokens-first")),
    "operator-gqa-bidirectional",
    "gpt_oss-genai-windowed",
    "operator-gqa-window-cache",
    "cross-t5-optimum-past",
)
# Buffers that new tokens are written to, of so many places.
BUFFERS = {"cache-static-dynamo-op18": 16}


def demo(name: str) -> dict:
    model = load(name)
    prompt = [*prefix_of(name), *text_ids("test/text/pit-and-pendulum.md", 16)]
    ids = list(prompt)
    surprisal, entropy, largest, alike = [], [], [], []
    for _ in range(TOKENS):
        logits = model(torch.tensor([ids]))[0, -1].double()
        logs = torch.log_softmax(logits, -1)
        ids.append(int(logits.argmax()))
        surprisal.append(-logs[ids[-1]].item())
        entropy.append(-(logs.exp() * logs).sum().item())
    points = record(model, ids)
    layers = model.config.layers
    states = [points[f"hidden.{k}"].reshape(len(ids), -1).double() for k in range(layers + 1)]
    for at in range(len(prompt), len(ids)):
        largest.append([state[at].abs().max().item() for state in states])
        alike.append([torch.cosine_similarity(state[at], state[0], dim=0).item() for state in states])
    # By layer, the mean over heads: of the first token, over all queries. A key/value bias has a column before it.
    extra = int(model.config.key_value_bias)
    patterns = [points[f"attn.{k}"].reshape(-1, len(ids), len(ids) + extra) for k in range(layers)]
    alpha = [pattern[:, :, extra].mean().item() for pattern in patterns]
    return {
        "prompt": prompt,
        "ids": ids[len(prompt) :],
        "surprisal": surprisal,
        "entropy": entropy,
        "largest": largest,
        "alike": alike,
        "alpha": alpha,
    }


SHARED = {"vocab_size": 160, "hidden_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
LLAMA = {**SHARED, "intermediate_size": 96, "num_key_value_heads": 2, "max_position_embeddings": 64}
CONTEXT = {**SHARED, "intermediate_size": 128, "max_position_embeddings": 64}
# Of folders that begin so, what they are exported from, and the file whose weights have its names.
FAMILIES = {
    "gpt2": (GPT2LMHeadModel, GPT2Config(vocab_size=160, n_positions=64, n_embd=64, n_layer=3, n_head=4, n_inner=128)),
    "llama": (LlamaForCausalLM, LlamaConfig(**LLAMA, tie_word_embeddings=False)),
    "bloom": (BloomForCausalLM, BloomConfig(vocab_size=160, hidden_size=64, n_layer=3, n_head=4)),
    "gpt_neox": (GPTNeoXForCausalLM, GPTNeoXConfig(**CONTEXT, rotary_pct=0.5)),
    "opt": (OPTForCausalLM, OPTConfig(**SHARED, ffn_dim=128, max_position_embeddings=64, word_embed_proj_dim=64)),
    "phi": (PhiForCausalLM, PhiConfig(**{**CONTEXT, "num_attention_heads": 2}, partial_rotary_factor=0.5)),
}


def rebuilt(family: str) -> torch.nn.Module:
    """With the weights of its optimum file; those of products have no names there, but stand in the order of their use."""
    kind, config = FAMILIES[family]
    model = kind(config).eval()
    graph = onnx.load(FIXTURES / f"{family}-optimum-past/model.onnx").graph
    state = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    nameless = iter(state[node.input[1]].T for node in graph.node if node.input[1:2] and "onnx::MatMul" in node.input[1])
    model.load_state_dict({key: state[key] for key in model.state_dict() if key in state}, strict=False)
    model.tie_weights()
    known = {value.data_ptr() for key, value in model.state_dict().items() if key in state}

    def fill(module: torch.nn.Linear, _: object) -> None:
        if module.weight.data_ptr() not in known:
            module.weight.data.copy_(next(nameless))

    hooks = [m.register_forward_pre_hook(fill) for m in model.modules() if isinstance(m, torch.nn.Linear)]
    model(torch.tensor([[0]]))
    for hook in hooks:
        hook.remove()
    assert next(nameless, None) is None, family
    return model


def fixtures() -> dict:
    found = {}
    for family in FAMILIES:
        model = rebuilt(family)
        for folder in sorted(FIXTURES.glob(f"{family}-*")):
            facts = json.loads((folder / "fixture.json").read_text())
            if facts["dtype"] != "float32" or not any("past" in i["name"] for i in facts["inputs"]):
                continue
            golden = load_file(folder / "golden.safetensors")
            ids = torch.from_numpy(golden["input_ids"].astype(np.int64)).reshape(1, -1)
            apart = np.abs(model(ids).logits[0].numpy() - golden["logits"]).max()
            if apart > 1e-4:
                assert folder.name != f"{family}-optimum-past", (folder.name, apart)
                continue
            written = model.generate(ids, max_new_tokens=TOKENS, do_sample=False, pad_token_id=0, eos_token_id=None)
            found[folder.name] = {"prompt": ids[0].tolist(), "ids": written[0, ids.shape[1] :].tolist()}
    return found


def whole(known: set[str]) -> dict:
    """By ONNX Runtime in Python, without a cache: every file with one that transformers did not write on with.

    Not those of which the integers of activations depend on the processor, nor those with room for few tokens.
    """
    found = {}
    for folder in sorted([*FIXTURES.iterdir(), *FIXTURES.parent.glob("families/*")]):
        if folder.name in known or not (folder / "fixture.json").exists():
            continue
        facts = json.loads((folder / "fixture.json").read_text())
        model = onnx.load(folder / "model.onnx", load_external_data=False)
        pasts = [i for i in model.graph.input if re.search(r"past|cache\.", i.name)]
        declared = any(d.dim_value for i in pasts for d in i.type.tensor_type.shape.dim[-2:-1])
        integers = any(re.search("^DynamicQuantize|Integer$", node.op_type) for node in model.graph.node)
        room = BUFFERS.get(folder.name)
        if not pasts or (declared and room is None) or integers or folder.name in WITHOUT:
            continue
        session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
        golden = load_file(folder / "golden.safetensors")
        ids = [int(i) for i in (facts.get("ids") or golden["input_ids"].reshape(-1))]
        of_pytorch = golden["logits"].reshape(len(ids), -1)
        apart = np.abs(logits_of(session, facts, ids) - of_pytorch).max() / np.abs(of_pytorch).max()
        assert apart < (1e-3 if facts["dtype"] == "float32" else 0.05), (folder.name, apart)
        written = []
        while len(written) < (TOKENS if room is None else room - len(ids)):
            second, first = np.sort(last := logits_of(session, facts, ids + written)[-1])[-2:]
            if first - second < 1e-3 * np.abs(last).max():
                break
            written.append(int(last.argmax()))
        assert len(written) > 2, folder.name
        found[folder.name] = {"folder": folder.parent.name, "prompt": ids, "ids": written}
    return found


def logits_of(session: onnxruntime.InferenceSession, facts: dict, ids: list[int]) -> np.ndarray:
    """[T, vocabulary], after nothing: caches have no tokens, or none of their places is filled."""
    types = {"int64": np.int64, "int32": np.int32, "float": np.float32, "float16": np.float16}
    feeds = {}
    for given in session.get_inputs():
        kind = types[given.type[len("tensor(") : -1]]
        if given.name == "input_ids":
            feeds[given.name] = np.array([ids], kind)
        elif given.name == "attention_mask":
            feeds[given.name] = np.ones((1, len(ids)), kind)
        elif given.name == "position_ids":
            feeds[given.name] = np.arange(len(ids), dtype=kind)[None]
        elif given.name == "cache_position":
            feeds[given.name] = np.arange(len(ids), dtype=kind)
        elif isinstance(given.shape[-2], int):
            feeds[given.name] = np.zeros(given.shape, kind)
        else:
            width = given.shape[-1] if isinstance(given.shape[-1], int) else facts.get("head_dim", facts["hidden"] // facts["heads"])
            shape = [1 if isinstance(d, str) else d for d in given.shape[:-2]]
            feeds[given.name] = np.zeros((*shape, 0, width), kind)
    return session.run(["logits"], feeds)[0][0].astype(np.float64)


def sampling() -> list[dict]:
    generator = torch.Generator().manual_seed(0)
    cases = []
    for temperature, k, p in [(1.0, 0, 1.0), (0.7, 5, 1.0), (1.3, 0, 0.6), (0.9, 8, 0.8), (2.0, 1, 0.5)]:
        logits = (3 * torch.randn(1, 12, generator=generator)).float()
        scores = TemperatureLogitsWarper(temperature)(None, logits)
        scores = TopKLogitsWarper(k)(None, scores) if k else scores
        scores = TopPLogitsWarper(p)(None, scores) if p < 1 else scores
        cases.append(
            {
                "temperature": temperature,
                "topK": k,
                "topP": p,
                "logits": logits[0].tolist(),
                "probabilities": torch.softmax(scores.double(), -1)[0].tolist(),
            }
        )
    return cases


if __name__ == "__main__":
    models, written = {name: demo(name) for name in MODELS}, fixtures()
    write(
        "test/references/generate.json",
        {"models": models, "fixtures": written, "whole": whole(set(written))},
    )
    write("test/pure/statistics/sampling.json", {"sampling": sampling()})
