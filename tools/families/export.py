"""Tiny random-weight models of many Hugging Face families, exported to ONNX in many forms, with PyTorch references.

    python export.py OUT [name ...]

makes OUT/<name>/{model.onnx, golden.safetensors, fixture.json} for every case, or for those named (a prefix will do).
The layout is that of test/zoo; `SINKSCOPE_ZOO=OUT npx vitest run test/zoo/zoo.test.ts` tries them all.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import sys
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable

import onnx
import torch
import transformers
from safetensors.torch import save_file

import forms
from capture import Capture, randomise

TOKENS = 12
VOCABULARY = 100


@dataclass
class Case:
    """One model in one exported form."""

    name: str
    """Builds the model, in eval mode."""
    model: Callable[[], torch.nn.Module]
    """Keyword arguments of `forward`; integer and float tensors with a batch of one."""
    inputs: dict
    """Path of the module list that the residual stream passes."""
    blocks: str
    export: Callable
    mid: tuple[str, str] | None = None
    down: str | None = None
    pattern: str | None = None
    """Attribute of what `forward` gives that is exported, and its golden name."""
    head: str = "logits"
    parallel: bool = False
    facts: dict = field(default_factory=dict)
    """Goes over the exported file."""
    after: Callable[[Path], None] | None = None
    dtype: str = "float32"
    tolerance: float = 2e-6
    gaps: dict = field(default_factory=dict)
    """Repeats the blocks: layers that share their weights."""
    repeat: int = 1
    """Records the golden tensors itself: (model, inputs) to them and what the model gives."""
    golden: Callable | None = None


class Exported(torch.nn.Module):
    """`forward` with the inputs as positional arguments and one output."""

    def __init__(self, model, names, head, options):
        super().__init__()
        self.m, self.names, self.head, self.options = model, names, head, options

    def forward(self, *args):
        output = self.m(**dict(zip(self.names, args)), **self.options)
        if torch.is_tensor(output):
            return output
        heads = self.head if isinstance(self.head, tuple) else (self.head,)
        values = tuple(getattr(output, head) for head in heads)
        return values[0] if len(values) == 1 else values


def make(case: Case, out: Path):
    torch.manual_seed(0)
    model = case.model().eval()
    randomise(model)
    options = {"use_cache": False} if getattr(getattr(model, "config", None), "use_cache", None) else {}
    if case.golden:
        golden, output = case.golden(model, case.inputs)
    else:
        capture = Capture(list(model.get_submodule(case.blocks)) * case.repeat, case.mid, case.down, case.pattern)
        golden, output = capture(model, {**case.inputs, **options})
    first_head = case.head[0] if isinstance(case.head, tuple) else case.head
    head = output if torch.is_tensor(output) else getattr(output, first_head)
    golden[first_head] = head.detach().float()[0].contiguous() if head.dim() > 2 else head.detach().float().contiguous()

    folder = out / case.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "model.onnx"
    if attention := getattr(model, "exported_attention", None):
        model.set_attn_implementation(attention)
    wrapped = Exported(model, list(case.inputs), case.head, options)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        case.export(wrapped, case.inputs, first_head, path)
    if case.after:
        case.after(path)
    try:
        check(path, case.inputs, first_head, golden, 2e-2 if case.dtype != "float32" else 1e-4)
    except Exception:
        shutil.rmtree(folder)
        raise
    finish(case, folder, golden, first_head)


def check(path: Path, inputs: dict, head: str, golden: dict, tolerance: float):
    """The file does what PyTorch does: exporters are wrong at times, and such a file tells nothing."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {i.name: inputs[i.name].numpy() for i in session.get_inputs()}
    want = golden[head]
    got = torch.from_numpy(session.run([session.get_outputs()[0].name], feeds)[0]).float().reshape(want.shape)
    error = ((got - want).abs().max() / want.abs().max()).item()
    if not error <= tolerance:
        raise ValueError(f"the exported file is not the model: error {error:.1e}")


def finish(case: Case, folder: Path, golden: dict, head: str):
    proto = onnx.load(folder / "model.onnx", load_external_data=False)
    feeds = {}
    for graph_input in proto.graph.input:
        value = case.inputs.get(graph_input.name)
        if value is not None and value.numel() > 0:
            feeds[graph_input.name] = value.contiguous()
    save_file({**feeds, **golden}, folder / "golden.safetensors")
    layers = max(int(name.split(".")[1]) for name in golden if name.startswith("hidden."))
    attention, mlp = golden.get("attn.0"), golden.get("mlp.0")
    facts = {
        "name": case.name,
        "exporter": f"{case.export.__doc__} [torch {torch.__version__}, transformers {transformers.__version__}]",
        "opset": {opset.domain or "ai.onnx": opset.version for opset in proto.opset_import},
        "dtype": case.dtype,
        "nodes": len(proto.graph.node),
        "inputs": [{"name": i.name} for i in proto.graph.input],
        "outputs": [o.name for o in proto.graph.output],
        "layers": layers,
        "hidden": golden["hidden.0"].shape[-1],
        "heads": None if attention is None else attention.shape[0],
        "mlp_hidden": None if mlp is None else mlp.shape[-1],
        "parallel_block": case.parallel,
        "golden": "pytorch",
        "tolerance": case.tolerance,
        "head": head,
        "gaps": case.gaps or None,
        **case.facts,
    }
    facts = {key: value for key, value in facts.items() if value is not None}
    (folder / "fixture.json").write_text(json.dumps(facts, indent=1) + "\n")


def main():
    import cases

    out, wanted = Path(sys.argv[1]), sys.argv[2:]
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    failed = []
    for case in cases.all_cases():
        if wanted and not any(case.name.startswith(name) for name in wanted):
            continue
        try:
            make(case, out)
            print("ok    ", case.name, flush=True)
        except Exception as error:
            failed.append(case.name)
            print("FAILED", case.name, f"{type(error).__name__}: {error}".splitlines()[0][:200], flush=True)
            if len(wanted) == 1:
                traceback.print_exc()
    print(f"{len(failed)} failed")


if __name__ == "__main__":
    main()
