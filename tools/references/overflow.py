"""Writes test/references/overflow/: a tiny decoder that overflows in half precision, and its conversions.

    python tools/references/overflow.py "$NODES"   # names that `sinkscope precision` gives, as a JSON list

Needs onnxconverter-common==1.16.0 beside tools/demo-models/requirements.txt.

The first MLP gives token 0 an entry of about 1e5, which the residual stream carries to the end. `float.onnx` is it in
float32, `half.onnx` converted to float16 whole, `listed.onnx` with `node_block_list` = NODES. The converter
leaves casts to float16 and back between nodes of the list where a value has several readers, and large values would
be lost there; ONNX Runtime's `remove_cascaded_cast_nodes` takes them out. (ONNX Runtime 1.31's own converter makes a
graph with two values of one name of this list.) All are run by ONNX's reference evaluator, which rounds every tensor
to its type; ONNX Runtime on a CPU computes half floats in float32.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnxconverter_common.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

FOLDER = Path(__file__).resolve().parents[2] / "test/references/overflow"
IDS = [0, 5, 9, 2, 7, 11, 3, 8]
T, D, MLP, VOCABULARY, BLOCKS = len(IDS), 16, 32, 24, 3


class Graph:
    def __init__(self):
        self.draw = np.random.default_rng(0)
        self.nodes, self.weights = [], {}

    def node(self, op: str, name: str, *inputs: str, **attributes) -> str:
        self.nodes.append(helper.make_node(op, list(inputs), [f"{name}:0"], name=name, **attributes))
        return f"{name}:0"

    def weight(self, name: str, *shape: int, value: float | None = None) -> str:
        drawn = np.full(shape, value) if value is not None else self.draw.normal(0, 0.2, shape)
        self.weights[name] = drawn.astype(np.float32)
        return name

    def norm(self, name: str, x: str) -> str:
        """x · gain ÷ √(mean(x²) + ε), spelled out as exporters do."""
        squares = self.node("Pow", f"{name}/Pow", x, self.weight(f"{name}.two", value=2))
        mean = self.node("ReduceMean", f"{name}/ReduceMean", squares, axes=[-1])
        shifted = self.node("Add", f"{name}/Add", mean, self.weight(f"{name}.epsilon", value=1e-5))
        root = self.node("Sqrt", f"{name}/Sqrt", shifted)
        divided = self.node("Div", f"{name}/Div", x, root)
        return self.node("Mul", f"{name}/Mul", divided, self.weight(f"{name}.gain", D, value=1))

    def product(self, name: str, x: str, *shape: int) -> str:
        return self.node("MatMul", f"{name}/MatMul", x, self.weight(f"{name}.weight", *shape))

    def block(self, name: str, h: str) -> str:
        x = self.norm(f"{name}/n1", h)
        q, k, v = (self.product(f"{name}/{part}", x, D, D) for part in "qkv")
        scores = self.node("MatMul", f"{name}/Scores", q, self.node("Transpose", f"{name}/Transpose", k, perm=[0, 2, 1]))
        scaled = self.node("Mul", f"{name}/Scale", scores, self.weight(f"{name}.scale", value=D**-0.5))
        pattern = self.node("Softmax", f"{name}/Softmax", self.node("Add", f"{name}/Mask", scaled, "mask"), axis=-1)
        attended = self.product(f"{name}/o", self.node("MatMul", f"{name}/Weighed", pattern, v), D, D)
        h = self.node("Add", f"{name}/Add_1", h, attended)
        up = self.product(f"{name}/up", self.norm(f"{name}/n2", h), D, MLP)
        down = self.product(f"{name}/down", self.node("Relu", f"{name}/Relu", up), MLP, D)
        return self.node("Add", f"{name}/Add_2", h, down)


def planted() -> onnx.ModelProto:
    graph = Graph()
    graph.weights["mask"] = np.triu(np.full((T, T), -1e4, np.float32), 1)
    h = graph.node("Gather", "/Gather", graph.weight("table", VOCABULARY, D), "input_ids")
    for index in range(BLOCKS):
        h = graph.block(f"/blocks.{index}", h)
    logits = graph.product("/head", graph.norm("/norm", h), D, VOCABULARY)
    # Token 0 alone lies along the first dim, and one unit of the first MLP makes a massive activation of that.
    graph.weights["table"][:, 0], graph.weights["table"][0], graph.weights["table"][0, 0] = 0, 0, 4
    graph.weights["/blocks.0/up.weight"][0, 7] = 60
    graph.weights["/blocks.0/down.weight"][7, 3] = 500
    graph.nodes[-1].output[0] = "logits"
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "overflow",
            [helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, T])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, T, VOCABULARY])],
            [numpy_helper.from_array(weight, name) for name, weight in graph.weights.items()],
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )


def converted(nodes: list[str]) -> onnx.ModelProto:
    model = OnnxModel(convert_float_to_float16(planted(), node_block_list=nodes, keep_io_types=True))
    model.topological_sort()
    model.remove_cascaded_cast_nodes()
    model.topological_sort()
    return model.model


def run(model: onnx.ModelProto) -> np.ndarray:
    with np.errstate(all="ignore"):
        (logits,) = ReferenceEvaluator(model).run(None, {"input_ids": np.array([IDS])})
    return logits.astype(np.float32)[0]


def main() -> None:
    nodes = json.loads(sys.argv[1])
    FOLDER.mkdir(exist_ok=True)
    models = {"float": planted(), "half": converted([]), "listed": converted(nodes)}
    for name, model in models.items():
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, FOLDER / f"{name}.onnx")
    expected = run(models["float"])
    off = {name: float(np.abs(run(models[name]) - expected).max() / np.abs(expected).max()) for name in ("half", "listed")}
    reference = {
        "ids": IDS,
        "nodeBlockList": nodes,
        # Largest difference of a logit from those of float32, relative to the largest of these; null: not finite.
        "off": {name: float(f"{value:.3g}") if np.isfinite(value) else None for name, value in off.items()},
    }
    (FOLDER / "reference.json").write_text(json.dumps(reference, indent=1) + "\n")
    print(reference["off"])


if __name__ == "__main__":
    main()
