"""A fixture of the zoo quantised to QLinear operators, with the file's own tensors, dequantised, as its reference.

    python qoperator.py ../../test/zoo/fixtures/bert-optimum-op14 OUT/bert-qoperator
"""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from safetensors.numpy import load_file, save_file

source, target = Path(sys.argv[1]), Path(sys.argv[2])
facts = json.loads((source / "fixture.json").read_text())
golden = load_file(source / "golden.safetensors")
shutil.rmtree(target, ignore_errors=True)
target.mkdir(parents=True)
names = [graph_input.name for graph_input in onnx.load(source / "model.onnx").graph.input]
fills = {"attention_mask": np.ones, "token_type_ids": np.zeros}
feeds = {name: golden[name] if name in golden else fills[name](golden["input_ids"].shape, np.int64) for name in names}


class Once(CalibrationDataReader):
    rest = [feeds]

    def get_next(self):
        return self.rest.pop() if self.rest else None


path = target / "model.onnx"
quantize_static(
    str(source / "model.onnx"), str(path), Once(), quant_format=QuantFormat.QOperator,
    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
)

model = onnx.load(path)
made = {output for node in model.graph.node for output in node.output}
constants = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
wanted = {
    tap: place["tensor"]
    for tap, place in facts["taps"].items()
    if tap.split(".")[0] in ("hidden", "resid_mid", "mlp", "attn", facts["head"])
}
fetched = {tap: f"{name}_quantized" if f"{name}_quantized" in made else name for tap, name in wanted.items()}
tapped = onnx.ModelProto.FromString(model.SerializeToString())
known = {output.name for output in model.graph.output}
tapped.graph.output.extend(onnx.ValueInfoProto(name=name) for name in dict.fromkeys(fetched.values()) if name not in known)
options = onnxruntime.SessionOptions()
options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
session = onnxruntime.InferenceSession(tapped.SerializeToString(), options, providers=["CPUExecutionProvider"])
tensors = {}
for (tap, name), value in zip(fetched.items(), session.run(list(fetched.values()), feeds)):
    if name.endswith("_quantized"):
        base = wanted[tap]
        value = (value.astype(np.float32) - constants[f"{base}_zero_point"]) * constants[f"{base}_scale"]
    tensors[tap] = np.ascontiguousarray(value[0].astype(np.float32))
save_file({"input_ids": golden["input_ids"], **tensors}, target / "golden.safetensors")
kept = ("family", "inputs", "outputs", "layers", "heads", "kv_heads", "hidden", "head_dim", "mlp_hidden", "parallel_block", "head")
written = {
    "name": target.name,
    "exporter": f"quantize_static(QOperator) of {source.name} [onnxruntime {onnxruntime.__version__}]",
    "opset": {opset.domain or "ai.onnx": opset.version for opset in model.opset_import},
    "dtype": "int8",
    "nodes": len(model.graph.node),
    "golden": "onnx-tapped",
    "tolerance": 2e-2,
    **{key: facts[key] for key in kept if key in facts},
}
(target / "fixture.json").write_text(json.dumps(written, indent=1) + "\n")
