"""Writes test/references/quantised.json: models beside files made from them by quantising, by ONNX Runtime and NumPy.

Whole files are run with one residual point fed and all of them fetched, so that what is held against these figures
(blocks cut out one by one) shares nothing with what made them. Products of 8-bit integers are computed in double
precision, which is exact: without VNNI instructions ONNX Runtime's own saturate. Every protocol is in
test/references/README.md.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from reference import ROOT, prefix_of, text_ids, write

FIXTURES = ROOT / "test/zoo/fixtures"
BOATS = "test/text/three-men-in-a-boat.md"
PAIRS = [
    ("llama-ts-op17-sdpa", "llama-int8-dynamic"),
    ("llama-optimum-past", "llama-optimum-past-fp16"),
    ("llama-genai-fp32", "llama-genai-int4"),
    ("llama-genai-fp32", "llama-genai-int4-acc1"),
    ("gpt2-optimum-past", "gpt2-int8-dynamic"),
    ("gpt2-ts-op14", "gpt2-qdq-static"),
    ("gpt2-optimum-past", "gpt2-fp16-converted"),
    ("llama-ts-op17-sdpa", "llama-qdq-weights"),
    ("llama-optimum-past", "llama-tfjs-q4"),
    ("llama-genai-fp32", "llama-genai-fp16"),
]


class File:
    """A file whose residual points can be fed."""

    def __init__(self, path: Path, residuals: list[str], exact: bool, past: dict[str, list[int]] | None = None):
        self.model = onnx.load(path)
        self.residuals = residuals
        self.past = past or {}
        graph = self.model.graph
        nodes = [part for node in graph.node for part in split(node, residuals)]
        if exact:
            nodes = [part for node in nodes for part in exactly(node)]
        del graph.node[:]
        graph.node.extend(nodes)
        kept = [o for o in graph.output if o.name == "logits"]
        del graph.output[:]
        graph.output.extend(kept)
        # What shape inference cannot tell comes from fused operators, here in single precision alone.
        inferred = onnx.shape_inference.infer_shapes(self.model).graph.value_info
        types = {v.name: v.type.tensor_type.elem_type for v in inferred}
        self.types = [types.get(name) or TensorProto.FLOAT for name in residuals]
        graph.output.extend(
            helper.make_tensor_value_info(name, kind, None) for name, kind in zip(residuals, self.types, strict=True)
        )
        self.exact = exact
        self.sessions: dict[int | None, onnxruntime.InferenceSession] = {}

    def session(self, given: int | None) -> onnxruntime.InferenceSession:
        if given not in self.sessions:
            model = onnx.ModelProto()
            model.CopyFrom(self.model)
            if given is not None:
                name = self.residuals[given]
                for node in model.graph.node:
                    for i, value in enumerate(node.input):
                        if value == name:
                            node.input[i] = "given"
                model.graph.input.append(helper.make_tensor_value_info("given", self.types[given], None))
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            options.log_severity_level = 3
            options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
            if self.exact:
                options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
            self.sessions[given] = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        return self.sessions[given]

    def run(self, ids: np.ndarray, given: int | None = None, state: np.ndarray | None = None):
        """(hidden states in double precision, logarithms of probabilities), with h_given set to `state`."""
        session = self.session(given)
        feeds = {i.name: self.feed(i, ids) for i in session.get_inputs() if i.name != "given"}
        if given is not None:
            half = self.types[given] == TensorProto.FLOAT16
            feeds["given"] = state.astype(np.float16 if half else np.float32)
        logits, *states = session.run(["logits", *self.residuals], feeds)
        return [h.astype(np.float64) for h in states], log_softmax(logits[0].astype(np.float64))

    def feed(self, given: onnxruntime.NodeArg, ids: np.ndarray) -> np.ndarray:
        if given.name == "input_ids":
            return ids
        if given.name == "attention_mask":
            return np.ones_like(ids)
        if given.name == "position_ids":
            return np.arange(ids.shape[1])[None]
        return np.zeros(self.past[given.name], np.float16 if "float16" in given.type else np.float32)


def exactly(node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """MatMulInteger in double precision, in which sums of products of bytes are exact."""
    if node.op_type != "MatMulInteger":
        return [node]
    out = node.output[0]
    nodes, factors = [], []
    for side, zero in (0, 2), (1, 3):
        name = f"{out}/{side}"
        nodes.append(helper.make_node("Cast", [node.input[side]], [name], to=TensorProto.DOUBLE))
        if len(node.input) > zero and node.input[zero]:
            nodes.append(helper.make_node("Cast", [node.input[zero]], [f"{name}/zero"], to=TensorProto.DOUBLE))
            nodes.append(helper.make_node("Sub", [name, f"{name}/zero"], [f"{name}/centred"]))
            name = f"{name}/centred"
        factors.append(name)
    nodes.append(helper.make_node("MatMul", factors, [f"{out}/product"]))
    nodes.append(helper.make_node("Cast", [f"{out}/product"], [out], to=TensorProto.INT32))
    return nodes


def split(node: onnx.NodeProto, residuals: list[str]) -> list[onnx.NodeProto]:
    """The sum and the norm of a fused pair apart, so that the norm reads what is fed in the sum's place."""
    if node.op_type != "SkipSimplifiedLayerNormalization":
        return [node]
    x, skip, gamma = node.input[:3]
    total = node.output[3] if len(node.output) > 3 else residuals[-1]
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    return [
        helper.make_node("Add", [x, skip], [total]),
        helper.make_node(
            "SimplifiedLayerNormalization", [total, gamma], node.output[:1], axis=-1, stash_type=1, **attributes
        ),
    ]


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(-1, keepdims=True)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def pair(reference: File, model: File, sequences: list[list[int]], start: int) -> dict:
    """All measures; the tokens from `start` on are scored."""
    depth = len(reference.residuals)
    klds, same, changes, losses = [], [], [], {"reference": [], "quantised": []}
    signal, cumulative, local = np.zeros(depth), np.zeros(depth), np.zeros(depth)
    swaps = {"alone": np.zeros(depth + 1), "restored": np.zeros(depth + 1)}

    for sequence in sequences:
        ids = np.array([sequence], np.int64)
        rows = np.arange(start - 1, len(sequence) - 1)
        following = ids[0, start:]
        before, p = reference.run(ids)
        after, q = model.run(ids)

        def kld(other: np.ndarray) -> np.ndarray:
            return (np.exp(p) * (p - other)).sum(-1)[rows]

        klds += kld(q).tolist()
        same += (p.argmax(-1) == q.argmax(-1))[rows].tolist()
        changes += (np.exp(q) - np.exp(p))[rows, following].tolist()
        losses["reference"] += (-p[rows, following]).tolist()
        losses["quantised"] += (-q[rows, following]).tolist()
        for k in range(depth):
            signal[k] += np.square(before[k]).sum()
            cumulative[k] += np.square(after[k] - before[k]).sum()
            # Block k of one on what the other's block k - 1 left; the embedding has nothing before it.
            mine = model.run(ids, k - 1, before[k - 1])[0][k] if k else after[0]
            theirs = reference.run(ids, k - 1, after[k - 1])[0][k] if k else before[0]
            local[k] += np.square(mine - before[k]).sum()
            swaps["alone"][k] += kld(reference.run(ids, k, mine)[1]).sum()
            swaps["restored"][k] += kld(model.run(ids, k, theirs)[1]).sum()
        swaps["alone"][depth] += kld(model.run(ids, depth - 1, before[-1])[1]).sum()
        swaps["restored"][depth] += kld(reference.run(ids, depth - 1, after[-1])[1]).sum()

    def decibels(noise: np.ndarray) -> list[float | None]:
        return [10 * np.log10(s / n).item() if n > 0 else None for s, n in zip(signal, noise, strict=True)]

    return {
        "perplexity": {name: np.exp(np.mean(values)).item() for name, values in losses.items()},
        "kld": {
            "mean": np.mean(klds).item(),
            "median": np.median(klds).item(),
            "p99": np.percentile(klds, 99).item(),
            "max": np.max(klds).item(),
        },
        "sameTop": np.mean(same).item(),
        "rmsDp": np.sqrt(np.mean(np.square(changes))).item(),
        "sqnr": [
            {"cumulative": c, "local": n} for c, n in zip(decibels(cumulative), decibels(local), strict=True)
        ],
        "swap": [
            {"alone": a, "restored": r}
            for a, r in zip(*((swaps[kind] / len(klds)).tolist() for kind in ("alone", "restored")), strict=True)
        ],
    }


def fixture(name: str, made: Path | None = None) -> File:
    """The fixture, or a file of bytes that was made of it."""
    described = json.loads((FIXTURES / name / "fixture.json").read_text())
    taps = {key: tap["tensor"] for key, tap in described["taps"].items()}
    depth = sum(key.startswith("hidden.") for key in taps)
    past = {given["name"]: given["fed_shape"] for given in described["inputs"] if "empty past" in given["feed"]}
    residuals = [taps[f"hidden.{k}"] or f"hidden.{k}" for k in range(depth)]
    path = made or FIXTURES / name / "model.onnx"
    return File(path, residuals, made is not None or described["dtype"] == "int8", past)


def fixtures() -> list[dict]:
    rows = []
    for reference, model in PAIRS:
        ids = [7 * i % 160 for i in range(20)]
        measured = pair(fixture(reference), fixture(model), [ids], 1)
        rows.append({"reference": reference, "model": model, "ids": ids, **measured})
    return rows


def folded(name: str, to: Path) -> Path:
    """The demo model with its weights as float initializers, which is what quantisers take."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(to / "folded.onnx")
    onnxruntime.InferenceSession(
        ROOT / "media/models" / name / "model.onnx", options, providers=["CPUExecutionProvider"]
    )
    return to / "folded.onnx"


def demo_sequences(name: str, tokens: int, window: int) -> list[list[int]]:
    prefix = prefix_of(name)
    piece = window - len(prefix)
    ids = text_ids(BOATS, tokens)
    return [prefix + ids[i : i + piece] for i in range(0, len(ids) - piece + 1, piece)]


def demo_residuals(name: str) -> list[str]:
    config = json.loads((ROOT / "media/models" / name / "config.json").read_text())
    return ["/Cast_2_output_0", *(f"/blocks.{b}/Add_1_output_0" for b in range(config["num_hidden_layers"]))]


def dynamic(model: Path, to: Path, reduce_range: bool, per_channel: bool = False, exclude: tuple[str, ...] = ()) -> File:
    """ONNX Runtime's dynamic int8, as tools/quantise.py makes it; with `reduce_range` weights have 7 bits."""
    quantize_dynamic(
        model,
        to / "int8.onnx",
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
        reduce_range=reduce_range,
        per_channel=per_channel,
        nodes_to_exclude=list(exclude),
    )
    return File(to / "int8.onnx", demo_residuals("llama"), True)


def blockwise(model: Path, to: Path, size: int, exclude: tuple[str, ...] = ()) -> File:
    """ONNX Runtime's int4 with blocks, symmetric."""
    quantizer = MatMulNBitsQuantizer(
        onnx.load(model), block_size=size, is_symmetric=True, nodes_to_exclude=list(exclude)
    )
    quantizer.process()
    onnx.save(quantizer.model.model, to / "int4.onnx")
    return File(to / "int4.onnx", demo_residuals("llama"), False)


def demo(name: str, to: Path, tokens: int = 510, window: int = 256) -> list[dict]:
    """ONNX Runtime's dynamic int8 of a demo model beside it."""
    reference = File(ROOT / "media/models" / name / "model.onnx", demo_residuals(name), False)
    sequences = demo_sequences(name, tokens, window)
    return [
        {
            "model": name,
            "file": BOATS,
            "maxTokens": tokens,
            "window": window,
            "reduceRange": reduce_range,
            **pair(reference, dynamic(folded(name, to), to, reduce_range), sequences, 1),
        }
        for reduce_range in (False, True)
    ]


def mean_kld(reference: File, model: File, sequences: list[list[int]]) -> float:
    klds = []
    for sequence in sequences:
        ids = np.array([sequence], np.int64)
        p, q = reference.run(ids)[1], model.run(ids)[1]
        klds += (np.exp(p) * (p - q)).sum(-1)[:-1].tolist()
    return np.mean(klds).item()


# What `sinkscope doctor` says to exclude from int4-block32 of llama on these windows.
EXCLUDED = json.loads((ROOT / "tools/references/excluded.json").read_text())


def excluded(to: Path, tokens: int = 510, window: int = 256) -> list[dict]:
    """Files that quantisers make with and without nodes excluded."""
    reference = File(ROOT / "media/models/llama/model.onnx", demo_residuals("llama"), False)
    sequences = demo_sequences("llama", tokens, window)
    model = folded("llama", to)
    down = ("/blocks.1/mlp/down/MatMul",)
    files = [
        ("int8-dynamic", False, [(), down], lambda exclude: dynamic(model, to, False, False, exclude)),
        ("int8-dynamic", True, [(), down], lambda exclude: dynamic(model, to, True, False, exclude)),
        ("int8-channel", True, [(), down], lambda exclude: dynamic(model, to, True, True, exclude)),
        ("int4-block32", False, [(), tuple(EXCLUDED)], lambda exclude: blockwise(model, to, 32, exclude)),
        ("int4-block128", False, [()], lambda exclude: blockwise(model, to, 128, exclude)),
    ]
    return [
        {
            "scheme": scheme,
            "reduceRange": reduce_range,
            "exclude": list(exclude),
            "kld": mean_kld(reference, make(exclude), sequences),
        }
        for scheme, reduce_range, lists, make in files
        for exclude in lists
    ]


if __name__ == "__main__":
    folder = Path(tempfile.mkdtemp())
    try:
        content = {"pairs": fixtures(), "dynamic": demo("llama", folder), "excluded": excluded(folder)}
    finally:
        shutil.rmtree(folder)
    if "--print" in sys.argv:
        print(json.dumps(content, indent=1))
    else:
        write("test/references/quantised.json", content)
