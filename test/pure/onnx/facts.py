"""Writes facts.json: what the onnx Python package reads in every fixture, as digests of a canonical text.

    python test/pure/onnx/facts.py

Needs onnx. The text's form is that of `canonical` in canonical.ts.
"""

import hashlib
import json
import struct
from pathlib import Path

import onnx
from onnx import AttributeProto, numpy_helper

here = Path(__file__).parent


def digest(lines):
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def tensor(t):
    data = t.raw_data if t.HasField("raw_data") else numpy_helper.to_array(t).tobytes()
    return f"{t.data_type} [{','.join(map(str, t.dims))}] {hashlib.sha256(data).hexdigest()[:16]}"


def attribute(a):
    kinds = AttributeProto.AttributeType
    value = {
        kinds.Value("FLOAT"): lambda: struct.pack("<f", a.f).hex(),
        kinds.Value("INT"): lambda: str(a.i),
        kinds.Value("STRING"): lambda: a.s.decode(),
        kinds.Value("TENSOR"): lambda: tensor(a.t),
        kinds.Value("GRAPH"): lambda: digest(graph(a.g)),
        kinds.Value("FLOATS"): lambda: struct.pack(f"<{len(a.floats)}f", *a.floats).hex(),
        kinds.Value("INTS"): lambda: ",".join(map(str, a.ints)),
        kinds.Value("STRINGS"): lambda: ",".join(s.decode() for s in a.strings),
    }[a.type]()
    return f"{a.name}={value}"


def node(n):
    attributes = " ".join(sorted(map(attribute, n.attribute)))
    return f"{n.domain}:{n.op_type} {n.name} ({','.join(n.input)}) ({','.join(n.output)}) {attributes}"


def value(v):
    t = v.type.tensor_type
    if not t.HasField("shape"):
        return f"{v.name} {t.elem_type} ?"
    dims = [str(d.dim_value) if d.HasField("dim_value") else d.dim_param or "?" for d in t.shape.dim]
    return f"{v.name} {t.elem_type} [{','.join(dims)}]"


def graph(g):
    weights = {i.name for i in g.initializer}
    lines = [node(n) for n in g.node]
    lines += sorted(f"{i.name} {tensor(i)}" for i in g.initializer)
    lines += [value(i) for i in g.input if i.name not in weights]
    lines += [value(o) for o in g.output]
    lines += sorted({v.name: value(v) for v in g.value_info}.values())  # some files repeat them
    return lines


facts = {}
for file in sorted((here / "../../zoo/fixtures").glob("*/model.onnx")):
    model = onnx.load(file)
    facts[file.parent.name] = {
        "irVersion": model.ir_version,
        "opsets": {o.domain: o.version for o in model.opset_import},
        "nodes": len(model.graph.node),
        "initializers": len(model.graph.initializer),
        "digest": digest(graph(model.graph)),
    }
(here / "facts.json").write_text(json.dumps(facts, indent=2) + "\n")
