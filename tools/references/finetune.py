"""Fine-tuning a demo model with PEFT and PyTorch's AdamW: test/references/finetune.json.

    python tools/references/finetune.py [FOLDER]

What is random (A, the order of windows, what MacDrop drops) comes from the generator of src/statistics/random.ts, which
is written down again here. With FOLDER, what `sinkscope finetune llama --save FOLDER` has written there is loaded by
PEFT, and its logits are held against those of the merged model.
"""

import math
import sys
from pathlib import Path

# Packages that PEFT imports have names of scripts that lie beside this one.
sys.path.append(sys.path.pop(0))

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import get_peft_model_state_dict
from reference import load, text_ids, write
from torch import nn

TEXT = "test/text/three-men-in-a-boat.md"
WINDOW, WINDOWS, BATCH, RANK, RATE, SEED = 16, 8, 2, 4, 2e-3, 5
# What `sinkscope weights` finds in llama.
BLOCK, DIMS, PROBABILITY = 2, [425, 73, 572], 0.8


def uniform(seed: int):
    """SplitMix with 32 bits, as src/statistics/random.ts has it."""
    state = seed & 0xFFFFFFFF
    while True:
        state = (state + 0x9E3779B9) & 0xFFFFFFFF
        z = state
        z = ((z ^ (z >> 16)) * 0x85EBCA6B) & 0xFFFFFFFF
        z = ((z ^ (z >> 13)) * 0xC2B2AE35) & 0xFFFFFFFF
        yield (z ^ (z >> 16)) / 2**32


def batches(windows: list[list[int]], seed: int):
    random = uniform(3 * seed + 1)
    order: list[int] = []
    while True:
        batch = []
        for _ in range(BATCH):
            if not order:
                order = list(range(len(windows)))
                for i in range(len(order) - 1, 0, -1):
                    j = int(next(random) * (i + 1))
                    order[i], order[j] = order[j], order[i]
            batch.append(windows[order.pop(0)])
        yield torch.tensor(batch)


def linear(model: nn.Module) -> nn.Module:
    """The model with torch's own linear layers, which PEFT knows."""
    model.float()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ != "Matrix":
                continue
            inputs, outputs = child.weight.shape
            layer = nn.Linear(inputs, outputs, bias=False)
            layer.weight.data = child.weight.data.T.contiguous()
            setattr(parent, name, layer)
    return model.requires_grad_(False)


def train(windows: list[list[int]], steps: int, parts: list[str], drop: bool) -> dict:
    config = LoraConfig(r=RANK, lora_alpha=2 * RANK, lora_dropout=0.0, target_modules=parts)
    model = get_peft_model(linear(load("llama")), config)
    random = uniform(3 * SEED)
    # In the order of the file's graph, which has the gate first.
    order = ("attn.q", "attn.k", "attn.v", "attn.proj", "mlp.gate", "mlp.up", "mlp.down")
    for block in model.base_model.model.blocks:
        for part in order:
            adapter = getattr(block.get_submodule(part), "lora_A", {})
            for layer in adapter.values() if adapter else []:
                bound = 1 / math.sqrt(layer.in_features)
                values = [(2 * next(random) - 1) * bound for _ in range(layer.weight.numel())]
                layer.weight.data = torch.tensor(values).reshape(layer.weight.shape)
    mlp = model.base_model.model.blocks[BLOCK - 1].mlp
    dropped = [(layer, layer.weight.data.clone()) for layer in (mlp.gate, mlp.up)]
    drawn = uniform(3 * SEED + 2)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=RATE)
    losses = []
    for step, batch in zip(range(steps), batches(windows, SEED), strict=False):
        p = PROBABILITY * (1 - step / (steps - 1))
        for layer, weight in dropped if drop else []:
            layer.weight.data = weight.clone()
            for row in DIMS:
                keep = [next(drawn) >= p for _ in range(weight.shape[1])]
                layer.weight.data[row] *= torch.tensor(keep).float()
        with torch.enable_grad():
            logits = model(batch)
            loss = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch[:, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()
        optimiser.step()
        losses.append(loss.item())
    state = get_peft_model_state_dict(model)
    return {
        "losses": losses,
        "tensors": [
            {"name": name, "shape": list(value.shape), "norm": value.norm().item(), "first": value.flatten()[:4].tolist()}
            for name, value in state.items()
        ],
    }


def check(folder: Path) -> None:
    """PEFT's logits of the adapter against ONNX Runtime's of the merged model."""
    import onnxruntime

    model = PeftModel.from_pretrained(linear(load("llama")), folder)
    ids = torch.tensor([[0, *text_ids(TEXT, 63)]])
    expected = model(ids).numpy()
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    found = session.run(None, {"input_ids": ids.numpy()})[0]
    plain = linear(load("llama"))(ids).numpy()
    print(f"largest difference {abs(found - expected).max():.2g}; the adapter changes up to {abs(expected - plain).max():.2g}")


def main() -> None:
    if len(sys.argv) > 1:
        check(Path(sys.argv[1]))
        return
    ids = text_ids(TEXT, WINDOWS * (WINDOW - 1))
    windows = [[0, *ids[i : i + WINDOW - 1]] for i in range(0, len(ids), WINDOW - 1)]
    write(
        "test/references/finetune.json",
        {
            "windows": windows,
            "batch": BATCH,
            "rank": RANK,
            "rate": RATE,
            "seed": SEED,
            "drop": {"block": BLOCK, "dims": DIMS, "probability": PROBABILITY},
            "qv": train(windows, 20, ["attn.q", "attn.v"], drop=True),
            "all": train(windows, 3, ["q", "k", "v", "proj", "up", "gate", "down"], drop=False),
        },
    )


main()
