"""Models around each form of the fused attention operators, with ONNX Runtime's own operator as the reference.

    python operators.py OUT [name ...]

The probabilities are what the operator gives when its values are the unit vectors: row t of the output of a head is
then row t of its pattern. Where the operator makes its values itself they are computed by NumPy from what it is given,
and its output is held against them. Everything else is a tensor of the graph, fetched as an extra output.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

TOKENS, VOCABULARY, LAYERS, HEADS, DIM, WIDTH = 12, 100, 2, 4, 16, 96
HIDDEN = HEADS * DIM


class Builder:
    """A graph in the making, in which layer `probe`'s values are unit vectors."""

    def __init__(self, kv_heads: int, probe: int | None):
        self.kv_heads, self.probe = kv_heads, probe
        self.nodes, self.initializers, self.inputs, self.taps, self.count = [], [], [], {}, 0
        self.random = np.random.default_rng(0)
        # By layer, the projection inside the operator: weight and bias.
        self.inside = {}

    def constant(self, value) -> str:
        self.count += 1
        name = f"c{self.count}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, *shape: int) -> str:
        return self.constant((self.random.standard_normal(shape) * shape[0] ** -0.5).astype(np.float32))

    def node(self, op: str, inputs: list[str], outputs: int = 1, domain: str = "", **attributes):
        self.count += 1
        names = [f"v{self.count}_{index}" for index in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def input(self, name: str, type: int, shape: list) -> str:
        if name not in [known.name for known in self.inputs]:
            self.inputs.append(helper.make_tensor_value_info(name, type, shape))
        return name

    def heads(self, value: str, count: int) -> str:
        shaped = self.node("Reshape", [value, self.constant(np.array([0, 0, count, DIM], np.int64))])
        return self.node("Transpose", [shaped], perm=[0, 2, 1, 3])

    def joined(self, value: str) -> str:
        turned = self.node("Transpose", [value], perm=[0, 2, 1, 3])
        return self.node("Reshape", [turned, self.constant(np.array([0, 0, HIDDEN], np.int64))])

    def lengths(self) -> tuple[str, str]:
        """seqlens_k and total_sequence_length from the mask, as the genai builder makes them."""
        mask = self.input("attention_mask", TensorProto.INT64, ["batch", "total"])
        total = self.node("ReduceSum", [mask, self.constant(np.array([1], np.int64))], keepdims=1)
        last = self.node("Sub", [total, self.constant(np.array([1], np.int64))])
        extent = self.node("Gather", [self.node("Shape", [mask]), self.constant(np.array(1, np.int64))])
        return self.node("Cast", [last], to=TensorProto.INT32), self.node("Cast", [extent], to=TensorProto.INT32)

    def causal(self, ids: str) -> str:
        """[T, T], true where a key is seen."""
        length = self.node("Gather", [self.node("Shape", [ids]), self.constant(np.array(1, np.int64))])
        zero, one = self.constant(np.array(0, np.int64)), self.constant(np.array(1, np.int64))
        places = self.node("Range", [zero, length, one])
        row = self.node("Unsqueeze", [places, self.constant(np.array([0], np.int64))])
        column = self.node("Unsqueeze", [places, self.constant(np.array([1], np.int64))])
        return self.node("LessOrEqual", [row, column])

    def float_mask(self, ids: str, shape: list[int]) -> str:
        none, much = self.constant(np.float32(0)), self.constant(np.float32(-1e4))
        mask = self.node("Where", [self.causal(ids), none, much])
        return self.node("Reshape", [mask, self.constant(np.array(shape, np.int64))])


def standard(rank: int = 3, mask: str | None = None, past: bool = False, **attributes):
    """ai.onnx Attention."""

    def attention(b: Builder, q, k, v, ids, layer):
        inputs = [q, k, v]
        if rank == 4:
            inputs = [b.heads(q, HEADS), b.heads(k, b.kv_heads), b.heads(v, b.kv_heads)]
        else:
            attributes.update(q_num_heads=HEADS, kv_num_heads=b.kv_heads)
        inputs.append({None: "", "bool": b.causal(ids), "float": b.float_mask(ids, [1, 1, TOKENS, TOKENS])}[mask] if mask else "")
        if past:
            shape = ["batch", b.kv_heads, "past", DIM]
            inputs += [b.input(f"past.{layer}.{part}", TensorProto.FLOAT, shape) for part in ("key", "value")]
            output, key, value = b.node("Attention", inputs, 3, **attributes)
            b.taps |= {f"present.{layer}.key": key, f"present.{layer}.value": value}
        else:
            while inputs[-1] == "":
                inputs.pop()
            output = b.node("Attention", inputs, **attributes)
        return b.joined(output) if rank == 4 else output

    return attention


def grouped(packed: bool = False, sink: bool = False, bias: bool = False, rotary: bool = False, **attributes):
    """com.microsoft GroupQueryAttention."""

    def attention(b: Builder, q, k, v, ids, layer):
        shape = ["batch", b.kv_heads, "past", DIM]
        past = [b.input(f"past.{layer}.{part}", TensorProto.FLOAT, shape) for part in ("key", "value")]
        first = [b.node("Concat", [q, k, v], axis=-1), "", ""] if packed else [q, k, v]
        tables = ["", ""]
        if rotary:
            angles = np.arange(64)[:, None] * 100.0 ** (-np.arange(DIM // 2) / (DIM // 2))
            tables = [b.constant(part(angles).astype(np.float32)) for part in (np.cos, np.sin)]
            attributes.update(do_rotary=1)
        rest = ["", b.float_mask(ids, [1, 1, TOKENS, TOKENS]) if bias else ""]
        rest.append(b.constant(b.random.standard_normal(HEADS).astype(np.float32)) if sink else "")
        inputs = [*first, *past, *b.lengths(), *tables, *rest]
        while inputs[-1] == "":
            inputs.pop()
        output, key, value = b.node(
            "GroupQueryAttention", inputs, 3, "com.microsoft", num_heads=HEADS, kv_num_heads=b.kv_heads, **attributes
        )
        b.taps |= {f"present.{layer}.key": key, f"present.{layer}.value": value}
        return output

    return attention


def multi_head(projection_bias: bool = False, padding: bool = False, bias: bool = False, **attributes):
    """com.microsoft MultiHeadAttention, in the forms that ONNX Runtime has for the CPU."""

    def attention(b: Builder, q, k, v, ids, layer):
        inputs = [q, k, v]
        # Values that are unit vectors must stay so.
        vector = np.concatenate([b.random.standard_normal(2 * HIDDEN), np.zeros(HIDDEN)]).astype(np.float32)
        inputs.append(b.constant(vector) if projection_bias else "")
        mask = b.input("attention_mask", TensorProto.INT64, ["batch", "sequence"]) if padding else ""
        inputs.append(b.node("Cast", [mask], to=TensorProto.INT32) if padding else "")
        inputs.append(b.float_mask(ids, [1, 1, TOKENS, TOKENS]) if bias else "")
        while inputs[-1] == "":
            inputs.pop()
        return b.node("MultiHeadAttention", inputs, 1, "com.microsoft", num_heads=HEADS, **attributes)

    return attention


def projecting(quantised: bool = False, **attributes):
    """com.microsoft Attention and QAttention, which hold the projections."""

    def attention(b: Builder, x, layer):
        weight = b.random.standard_normal((HIDDEN, 3 * HIDDEN)) * HIDDEN**-0.5
        bias = b.random.standard_normal(3 * HIDDEN).astype(np.float32)
        if not quantised:
            b.inside[layer] = weight.astype(np.float32), bias
            b.taps[f"states.{layer}"] = x
            inputs = [x, b.constant(b.inside[layer][0]), b.constant(bias)]
            return b.node("Attention", inputs, 1, "com.microsoft", num_heads=HEADS, **attributes)
        scale, zero = np.float32(np.abs(weight).max() / 100), np.int8(3)
        whole = (np.rint(weight / scale) + zero).astype(np.int8)
        b.inside[layer] = (whole.astype(np.float32) - zero) * scale, bias
        states, states_scale, states_zero = b.node("DynamicQuantizeLinear", [x], 3)
        b.taps |= {f"states.{layer}": states, f"scale.{layer}": states_scale, f"zero.{layer}": states_zero}
        given = [states, b.constant(whole), b.constant(bias), states_scale, b.constant(scale), "", states_zero, b.constant(zero)]
        return b.node("QAttention", given, 1, "com.microsoft", num_heads=HEADS, **attributes)

    return attention


def projected(b: Builder, layer: int, tapped: dict[str, np.ndarray], causal: bool) -> np.ndarray:
    """The pattern of an operator that projects its states, [HEADS, TOKENS, TOKENS], by its definition."""
    states = tapped[f"states.{layer}"][0].astype(np.float64)
    if f"scale.{layer}" in tapped:
        states = (states - tapped[f"zero.{layer}"]) * tapped[f"scale.{layer}"]
    weight, bias = b.inside[layer]
    parts = np.split(states @ weight.astype(np.float64) + bias, 3, axis=1)
    q, k, v = (part.reshape(TOKENS, HEADS, DIM).transpose(1, 0, 2) for part in parts)
    scores = q @ k.transpose(0, 2, 1) * DIM**-0.5
    if causal:
        scores = np.where(np.tri(TOKENS, dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    pattern = weights / weights.sum(axis=-1, keepdims=True)
    mixed = (pattern @ v).transpose(1, 0, 2).reshape(TOKENS, HIDDEN)
    assert np.abs(mixed - tapped[f"probe.{layer}"][0]).max() < 1e-5
    return pattern.astype(np.float32)


VARIANTS = {
    "attention-projecting": (4, projecting(unidirectional=1)),
    "qattention": (4, projecting(quantised=True, unidirectional=1)),
    "attention-3d-causal": (2, standard(3, is_causal=1)),
    "attention-3d-past": (2, standard(3, past=True, is_causal=1)),
    "attention-4d-bool": (4, standard(4, mask="bool")),
    "attention-4d-grouped": (2, standard(4, is_causal=1)),
    "attention-4d-softcap": (4, standard(4, mask="float", softcap=2.0, scale=0.5)),
    "attention-bidirectional": (4, standard(3)),
    "gqa-window-softcap": (2, grouped(local_window_size=4, softcap=3.0)),
    "gqa-smooth": (2, grouped(smooth_softmax=1)),
    "gqa-sink": (2, grouped(sink=True)),
    "gqa-packed-rotary": (2, grouped(packed=True, rotary=True, scale=0.3)),
    "gqa-rotary-interleaved": (1, grouped(rotary=True, rotary_interleaved=1)),
    "gqa-window-cache": (2, grouped(local_window_size=4, sliding_window_cache=1)),
    "gqa-bias": (2, grouped(bias=True)),
    "gqa-bidirectional": (2, grouped(causal=0)),
    "mha-causal-bias": (4, multi_head(projection_bias=True, unidirectional=1)),
    "mha-padding": (4, multi_head(padding=True)),
    "mha-mask": (4, multi_head(bias=True)),
}
PROJECTING = ("attention-projecting", "qattention")


def build(name: str, probe: int | None = None) -> tuple[onnx.ModelProto, Builder]:
    kv_heads, attention = VARIANTS[name]
    b = Builder(kv_heads, probe)
    ids = b.input("input_ids", TensorProto.INT64, ["batch", "sequence"])
    h = b.node("Gather", [b.weight(VOCABULARY, HIDDEN), ids])
    gain = lambda: b.constant((1 + 0.2 * b.random.standard_normal(HIDDEN)).astype(np.float32))
    norm = lambda value: b.node("LayerNormalization", [value, gain()], axis=-1, epsilon=1e-5)
    b.taps["hidden.0"] = h
    for layer in range(LAYERS):
        x = norm(h)
        if name in PROJECTING:
            mixed = attention(b, x, layer)
        else:
            q = b.node("MatMul", [x, b.weight(HIDDEN, HIDDEN)])
            k, v = (b.node("MatMul", [x, b.weight(HIDDEN, kv_heads * DIM)]) for _ in "kv")
            if layer == probe:
                v = b.constant(np.tile(np.eye(TOKENS, DIM, dtype=np.float32), (1, 1, kv_heads)).reshape(1, TOKENS, kv_heads * DIM))
            mixed = attention(b, q, k, v, ids, layer)
        b.taps[f"probe.{layer}"] = mixed
        h = b.node("Add", [h, b.node("MatMul", [mixed, b.weight(HIDDEN, HIDDEN)])])
        b.taps[f"resid_mid.{layer}"] = h
        inner = b.node("Relu", [b.node("MatMul", [norm(h), b.weight(HIDDEN, WIDTH)])])
        b.taps[f"mlp.{layer}"] = inner
        h = b.node("Add", [b.node("MatMul", [inner, b.weight(WIDTH, HIDDEN)]), h])
        b.taps[f"hidden.{layer + 1}"] = h
    b.nodes.append(helper.make_node("MatMul", [norm(h), b.weight(HIDDEN, VOCABULARY)], ["logits"]))
    outputs = ["logits", *[value for tap, value in b.taps.items() if tap.startswith("present")]]
    graph = helper.make_graph(
        b.nodes, "graph", b.inputs, [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs], b.initializers
    )
    opsets = [helper.make_opsetid("", 23), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=11, producer_name="sinkscope tools/families"), b


def run(model: onnx.ModelProto, taps: dict[str, str], feeds: dict) -> dict[str, np.ndarray]:
    known = {output.name for output in model.graph.output}
    tapped = onnx.ModelProto.FromString(model.SerializeToString())
    tapped.graph.output.extend(onnx.ValueInfoProto(name=value) for value in dict.fromkeys(taps.values()) if value not in known)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(tapped.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return dict(zip(taps, session.run(list(taps.values()), feeds)))


def make(name: str, out: Path):
    model, b = build(name)
    feeds = {}
    for graph_input in b.inputs:
        if graph_input.name == "input_ids":
            feeds["input_ids"] = np.random.default_rng(1).integers(0, VOCABULARY, (1, TOKENS))
        elif graph_input.name == "attention_mask":
            feeds["attention_mask"] = np.ones((1, TOKENS), np.int64)
        else:
            # A cache of fixed length has room for the window, whatever is in it.
            feeds[graph_input.name] = np.zeros((1, b.kv_heads, 4 if name == "gqa-window-cache" else 0, DIM), np.float32)
    taps = {tap: value for tap, value in b.taps.items() if tap.split(".")[0] in ("hidden", "resid_mid", "mlp")}
    golden = {tap: value[0] for tap, value in run(model, {**taps, "logits": "logits"}, feeds).items()}
    inside = {tap: value for tap, value in b.taps.items() if tap.split(".")[0] in ("states", "scale", "zero", "probe")}
    for layer in range(LAYERS):
        if name in PROJECTING:
            golden[f"attn.{layer}"] = projected(b, layer, run(model, inside, feeds), causal=True)
            continue
        probed, other = build(name, probe=layer)
        mixed = run(probed, {"probe": other.taps[f"probe.{layer}"]}, feeds)["probe"]
        golden[f"attn.{layer}"] = mixed.reshape(TOKENS, HEADS, DIM)[:, :, :TOKENS].transpose(1, 0, 2)
    folder = out / f"operator-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(model, folder / "model.onnx")
    given = {key: value for key, value in feeds.items() if not key.startswith("past")}
    save_file({key: np.ascontiguousarray(value) for key, value in {**given, **golden}.items()}, folder / "golden.safetensors")
    roles = {"input_ids": "given", "attention_mask": "ones [batch, T]"}
    facts = {
        "name": folder.name,
        "exporter": f"tools/families/operators.py [onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}]",
        "opset": {opset.domain or "ai.onnx": opset.version for opset in model.opset_import},
        "dtype": "float32",
        "nodes": len(model.graph.node),
        "inputs": [{"name": i.name, "feed": roles.get(i.name, "empty past")} for i in b.inputs],
        "outputs": [o.name for o in model.graph.output],
        "layers": LAYERS,
        "hidden": HIDDEN,
        "heads": HEADS,
        "kv_heads": b.kv_heads,
        "head_dim": DIM,
        "mlp_hidden": WIDTH,
        "parallel_block": False,
        "golden": "onnxruntime's operator, probed with unit vectors as values",
        "tolerance": 2e-6,
        "head": "logits",
    }
    (folder / "fixture.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    for variant in VARIANTS:
        if len(sys.argv) < 3 or any(variant.startswith(wanted) for wanted in sys.argv[2:]):
            try:
                make(variant, Path(sys.argv[1]))
                print("ok    ", variant)
            except Exception as error:
                print("FAILED", variant, str(error)[:300])
