"""gpt-oss as onnxruntime-genai's builder writes it, with caches of a window in every other block, and PyTorch's golden.

    python genai.py BUILDER OUT

BUILDER is the folder `src/python/py/models` of a checkout of github.com/microsoft/onnxruntime-genai (the one of
2026-08-22 made the fixture); OUT/gpt_oss-genai-windowed is what goes under test/zoo/families.
"""

import json
import sys
import tempfile
from pathlib import Path

import onnx
import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from capture import Capture, randomise

TOKENS, WINDOW = 12, 8


def main(builder: str, out: Path):
    sys.path.insert(0, builder)
    import onnx_ir
    from builders.gptoss import GPTOSSModel

    sizes = dict(hidden_size=64, intermediate_size=64, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2)
    ends = dict(vocab_size=100, max_position_embeddings=64, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    torch.manual_seed(0)
    config = AutoConfig.for_model(
        "gpt_oss", **sizes, **ends, head_dim=16, sliding_window=WINDOW, num_local_experts=4, num_experts_per_tok=2
    )
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager").eval()
    randomise(model)
    folder = out / "gpt_oss-genai-windowed"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as weights:
        model.save_pretrained(weights)
        config = AutoConfig.from_pretrained(weights)
        config._name_or_path = weights
        kind = onnx_ir.DataType.FLOAT
        built = GPTOSSModel(config, kind, kind, "cpu", weights, {"hf_token": False, "hf_remote": False})
        built.make_model(weights)
        built.save_model(str(folder))

    ids = torch.randint(0, 100, (1, TOKENS), generator=torch.Generator().manual_seed(5))
    golden, output = Capture(list(model.model.layers))(model, {"input_ids": ids, "use_cache": False})
    # Without the column of a learned sink, which weighs no values.
    golden = {name: value[..., :TOKENS].contiguous() if name.startswith("attn.") else value for name, value in golden.items()}
    save_file({**golden, "input_ids": ids, "logits": output.logits[0].detach().contiguous()}, folder / "golden.safetensors")
    written = ids
    for _ in range(2 * TOKENS):
        with torch.no_grad():
            last = model(written, use_cache=False).logits[:, -1:]
        written = torch.cat([written, last.argmax(-1)], 1)
    proto = onnx.load(folder / "model.onnx", load_external_data=False)
    facts = {
        "name": folder.name,
        "exporter": "onnxruntime-genai's builder (GPTOSSModel, fp32, cpu) of 2026-08-22 [transformers 5.23.0]",
        "opset": {opset.domain or "ai.onnx": opset.version for opset in proto.opset_import},
        "dtype": "float32",
        "nodes": len(proto.graph.node),
        "inputs": [{"name": i.name} for i in proto.graph.input],
        "outputs": [o.name for o in proto.graph.output],
        **{"layers": 3, "hidden": 64, "heads": 4, "kv_heads": 2, "parallel_block": False},
        **{"golden": "pytorch", "tolerance": 2.5e-6, "head": "logits", "ids": ids.flatten().tolist(), "written": written[0, TOKENS:].tolist()},
    }
    (folder / "fixture.json").write_text(json.dumps(facts, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
