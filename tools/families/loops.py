"""Loop nodes over stacked layers, made from a Scan over them: the same model in the forms that other exporters write.

    python loops.py ../../test/zoo/families/form-scan-over-layers ../../test/zoo/families
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import load_file


def int64(name: str, values) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(values, dtype=np.int64), name)


def looped(model: onnx.ModelProto, kind: str) -> onnx.ModelProto:
    """`gather`: weights by the number of the step. `slice`: rows that are cut out, and the last axis squeezed away."""
    graph = model.graph
    scan = next(node for node in graph.node if node.op_type == "Scan")
    body = next(a.g for a in scan.attribute if a.name == "body")
    count = next(a.i for a in scan.attribute if a.name == "num_scan_inputs")
    states, stacks = list(scan.input[:-count]), list(scan.input[-count:])
    steps = next(t.dims[0] for t in graph.initializer if t.name == stacks[0])
    # The body has names of its own, which hide those outside.
    for tensor in graph.initializer:
        if tensor.name in stacks:
            tensor.name = f"stack/{tensor.name}"
    stacks = [f"stack/{name}" for name in stacks]
    nodes, extra = [], [int64("axis0", [0]), int64("one", 1)]
    for value, stack in zip(body.input[len(states) :], stacks):
        if kind == "gather":
            nodes.append(helper.make_node("Gather", [stack, "step"], [value.name], axis=0))
        else:
            cut = [f"{value.name}/{part}" for part in ("start", "next", "end", "rows")]
            nodes += [
                helper.make_node("Unsqueeze", ["step", "axis0"], [cut[0]]),
                helper.make_node("Add", ["step", "one"], [cut[1]]),
                helper.make_node("Unsqueeze", [cut[1], "axis0"], [cut[2]]),
                helper.make_node("Slice", [stack, cut[0], cut[2], "axis0"], [cut[3]]),
                helper.make_node("Squeeze", [cut[3], "axis0"], [value.name]),
            ]
    nodes.append(helper.make_node("Identity", ["goes_on"], ["goes_on_still"]))
    own = helper.make_graph(
        nodes + list(body.node),
        "body",
        [
            helper.make_tensor_value_info("step", TensorProto.INT64, []),
            helper.make_tensor_value_info("goes_on", TensorProto.BOOL, []),
            *body.input[: len(states)],
        ],
        [helper.make_tensor_value_info("goes_on_still", TensorProto.BOOL, []), *body.output],
        [*body.initializer, *extra],
    )
    made = onnx.ModelProto()
    made.CopyFrom(model)
    del made.graph.node[:]
    for node in graph.node:
        loop = helper.make_node("Loop", ["trips", "", *states], list(scan.output), body=own)
        made.graph.node.append(loop if node is scan else node)
    made.graph.initializer.append(int64("trips", steps))
    return made


def main(source: Path, out: Path):
    golden, facts = load_file(source / "golden.safetensors"), json.loads((source / "fixture.json").read_text())
    for kind in ("gather", "slice"):
        folder = out / f"form-loop-over-layers-{kind}"
        folder.mkdir(exist_ok=True)
        model = looped(onnx.load(source / "model.onnx"), kind)
        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        [got] = session.run(["logits"], {"input_ids": golden["input_ids"]})
        error = np.abs(got[0] - golden["logits"]).max() / np.abs(golden["logits"]).max()
        assert error < 1e-5, error
        onnx.save(model, folder / "model.onnx")
        shutil.copy(source / "golden.safetensors", folder)
        exporter = f"loops.py: a Loop that picks the weights of its step by {kind.capitalize()}"
        (folder / "fixture.json").write_text(json.dumps({**facts, "name": folder.name, "exporter": exporter}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
