"""Writes operators.json: the attention operators' inputs, outputs and attributes as ONNX Runtime and onnx declare them.

    python test/pure/anatomy/operators.py

Needs onnx and onnxruntime. Of ai.onnx it takes the newest version of an operator.
"""

import json
import re
from pathlib import Path

import onnx
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_operator_schema

found = {}
standard = [schema for schema in onnx.defs.get_all_schemas() if schema.domain == ""]
contrib = [schema for schema in get_all_operator_schema() if schema.domain == "com.microsoft"]
for schema in [*standard, *contrib]:
    if re.search(r"(?<!Linear)Attention$", schema.name):
        found[f"{schema.domain}.{schema.name}"] = {
            "inputs": [value.name for value in schema.inputs],
            "outputs": [value.name for value in schema.outputs],
            "attributes": sorted(schema.attributes),
        }
facts = json.dumps(found, indent=1, sort_keys=True) + "\n"
(Path(__file__).parent / "operators.json").write_text(facts)
