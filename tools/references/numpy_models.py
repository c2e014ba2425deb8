"""Writes test/references/vision-graphs.json and the pixels beside it: vision and graph fixtures, by NumPy.

The fixtures' graphs are run by ONNX's own reference evaluator (NumPy), operator by operator, with the changes made by
extra nodes. Every protocol is in test/references/README.md.
"""

import json
import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.op_run import OpRun
from reference import ROOT, write
from safetensors.numpy import load_file, save_file

FIXTURES = ROOT / "test/zoo/fixtures"
PIXELS = ROOT / "test/references/pixels"
SOFT, TAIL = 4.0, 0.01


class SkipLayerNormalization(OpRun):
    op_domain = "com.microsoft"

    def _run(self, x, skip, gamma, beta=None, bias=None, epsilon=1e-5):
        total = x + skip + (0 if bias is None else bias)
        centred = total - total.mean(-1, keepdims=True)
        normed = centred / np.sqrt(np.square(centred).mean(-1, keepdims=True) + np.float32(epsilon)) * gamma
        normed = normed if beta is None else normed + beta
        empty = np.zeros(0, dtype=np.float32)
        return tuple(a.astype(np.float32) for a in (normed, empty, empty, total))[: len(self.onnx_node.output)]


class BiasGelu(OpRun):
    op_domain = "com.microsoft"

    def _run(self, x, bias):
        y = x + bias
        return ((y * 0.5 * (1 + np.vectorize(math.erf)(y / math.sqrt(2)))).astype(np.float32),)


def taps(name: str) -> dict[str, str]:
    described = json.loads((FIXTURES / name / "fixture.json").read_text())
    return {key: tap["tensor"] for key, tap in described["taps"].items() if tap["tensor"]}


def run(model: onnx.ModelProto, feeds: dict, wanted: list[str], change: tuple | None = None) -> list[np.ndarray]:
    """Values of `wanted`; `change` is a tensor's name and the entries (token, dim, value) to set in it."""
    changed = onnx.ModelProto()
    changed.CopyFrom(model)
    graph = changed.graph
    if change:
        name, entries = change
        tokens, width = run(model, feeds, [name])[0].shape[-2:]
        keep, put = np.ones((tokens, width), np.float32), np.zeros((tokens, width), np.float32)
        for token, dim, value in entries:
            keep[token, dim], put[token, dim] = 0, value
        at = next(i for i, node in enumerate(graph.node) if name in node.output)
        node = graph.node[at]
        node.output[list(node.output).index(name)] = name + "/as is"
        for part, values in (("keep", keep), ("put", put)):
            graph.initializer.append(numpy_helper.from_array(values, f"change/{part}"))
        graph.node.insert(at + 1, helper.make_node("Mul", [name + "/as is", "change/keep"], ["change/kept"]))
        graph.node.insert(at + 2, helper.make_node("Add", ["change/kept", "change/put"], [name]))
        if node.op_type == "SkipLayerNormalization":  # its norm is of the changed sum
            graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), "change/nothing"))
            norm = helper.make_node(node.op_type, [name, "change/nothing", *node.input[2:4]], [node.output[0]])
            norm.domain = node.domain
            norm.attribute.extend(node.attribute)
            node.output[0] = name + "/unused"
            graph.node.insert(at + 3, norm)
    del graph.output[:]
    graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in wanted)
    return ReferenceEvaluator(changed, new_ops=[SkipLayerNormalization, BiasGelu]).run(None, feeds)


def vision(name: str, count: int = 4, dims: int = 2) -> dict:
    model = onnx.load(FIXTURES / name / "model.onnx")
    points, output = taps(name), model.graph.output[0].name
    # Of the last state only the norm may be a tensor; what is set lies before it.
    layers = json.loads((FIXTURES / name / "fixture.json").read_text())["layers"]
    hidden = [points[f"hidden.{k}"] for k in range(layers)]
    images = [load_file(PIXELS / f"{i}.safetensors") for i in range(count)]
    results = [run(model, image, [*hidden, output]) for image in images]
    states = [[state.reshape(-1, state.shape[-1]) for state in result[:-1]] for result in results]
    outputs = [result[-1].astype(np.float64).flatten() for result in results]

    def median(state: np.ndarray) -> float:
        return float(np.sort(np.abs(state), axis=None)[(state.size - 1) // 2])

    ratios = [np.mean([np.abs(image[k]).max() / median(image[k]) for image in states]) for k in range(len(hidden))]
    layer = max(range(1, layers), key=lambda k: ratios[k] - ratios[k - 1])
    largest = np.mean([np.abs(image[layer]).max(0) for image in states], axis=0)
    chosen = np.argsort(-largest, kind="stable")[:dims].tolist()
    entries = []
    for image in states:
        state = image[layer]
        found = []
        for dim in chosen:
            order = np.argsort(-np.abs(state[:, dim]), kind="stable")
            own = [(int(token), dim, float(state[token, dim])) for token in order]
            found += [e for e in own if abs(e[2]) >= SOFT * median(state)] or own[:1]
        entries.append(found)
    rows = []
    for row in ("zero", "mean"):
        cosines, changes = [], []
        for i, image in enumerate(images):
            others = {d: [v for j, e in enumerate(entries) if j != i for _, dd, v in e if dd == d] for d in chosen}
            value = {d: float(np.mean(v)) if row == "mean" else 0.0 for d, v in others.items()}
            put = [(token, dim, value[dim]) for token, dim, _ in entries[i]]
            after = run(model, image, [output], (hidden[layer], put))[0].astype(np.float64).flatten()
            before = outputs[i]
            cosines.append(before @ after / np.linalg.norm(before) / np.linalg.norm(after))
            changes.append(np.linalg.norm(after - before) / np.linalg.norm(before))
        rows.append({"name": row, "cosine": float(np.mean(cosines)), "leastCosine": float(min(cosines)),
                     "change": float(np.mean(changes))})
    return {"fixture": name, "images": count, "soft": SOFT, "layer": layer, "dims": chosen,
            "entries": [[list(e) for e in image] for image in entries], "rows": rows}


def lower_gamma(a: float, x: float) -> float:
    """Regularised, by its power series in double precision."""
    term = total = 1 / a
    n = 0
    while term > 1e-18 * total:
        n += 1
        term *= x / (a + n)
        total += term
    return total * math.exp(a * math.log(x) - x - math.lgamma(a))


def graphs(name: str) -> dict:
    """The fixture untrained, and a twin in which one weight of the edges of block 2 is 200 times as large."""
    model = onnx.load(FIXTURES / name / "model.onnx")
    feeds = {key: value for key, value in load_file(FIXTURES / name / "golden.safetensors").items()
             if key in {i.name for i in model.graph.input}}
    points = taps(name)
    edges = [f"/blocks.{b}/attn/e/Add_output_0" for b in range(3)]
    wanted = [points[f"hidden.{k}"] for k in range(4)] + edges
    keys = [("nodes", k) for k in range(4)] + [("edges", b + 1) for b in range(3)]
    weight, row, column, factor = "onnx::MatMul_277", 3, 2, 200.0
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    initializer = next(i for i in twin.graph.initializer if i.name == weight)
    values = numpy_helper.to_array(initializer).copy()
    values[row, column] *= factor
    initializer.CopyFrom(numpy_helper.from_array(values, weight))
    trained, untrained = run(twin, feeds, wanted), run(model, feeds, wanted)

    def logs(values: np.ndarray) -> np.ndarray:
        magnitude = np.sort(np.abs(values.astype(np.float64)), axis=None)
        return -np.log10(magnitude[magnitude > 0] / magnitude[(magnitude.size - 1) // 2])

    ratios = []
    for (of, layer), own, other in zip(keys, trained, untrained, strict=True):
        own, other = logs(own), logs(other)
        shift = other.min() - (other.max() - other.min()) / 100
        x = other - shift
        n, log = len(x), np.log(x)
        scale = (n * (x * log).sum() - log.sum() * x.sum()) / n**2
        shape = x.mean() / scale
        low, high = 0.0, shape + 1
        while lower_gamma(shape, high) < TAIL:
            high *= 2
        for _ in range(200):
            middle = (low + high) / 2
            low, high = (middle, high) if lower_gamma(shape, middle) < TAIL else (low, middle)
        limit = shift + scale * (low + high) / 2
        ratios.append({"of": of, "layer": layer, "entries": n, "largestRatio": 10 ** -own.min(),
                       "shape": shape, "scale": scale, "shift": shift, "limit": 10**-limit,
                       "outside": float((own < limit).mean()), "outsideUntrained": float((other < limit).mean())})
    return {"fixture": name, "tail": TAIL, "weight": weight, "row": row, "column": column, "factor": factor,
            "ratios": [{k: v.item() if hasattr(v, "item") else v for k, v in r.items()} for r in ratios]}


def main() -> None:
    PIXELS.mkdir(exist_ok=True)
    for i in range(4):
        pixels = np.random.default_rng(i).normal(size=(1, 3, 32, 32)).astype(np.float32)
        save_file({"pixel_values": pixels}, PIXELS / f"{i}.safetensors")
    write("test/references/vision-graphs.json", {
        "vision": [vision("vit-ort-fused"), vision("dinov2_with_registers-dynamo-op18")],
        "graphs": graphs("gnn-ts-op17"),
    })


if __name__ == "__main__":
    main()
