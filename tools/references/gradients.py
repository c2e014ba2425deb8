"""Gradients of the demo models' loss by PyTorch's autograd: test/references/gradients.json.

    python tools/references/gradients.py
"""

import torch
from reference import MODELS, load, prefix_of, round_floats, text_ids, write

TOKENS = 24
TEXT = "test/text/three-men-in-a-boat.md"


def gradients(model, ids: list[int]) -> dict:
    """L2 norms of dL/dh_k by token, and some of its entries; L is the mean of -ln p of all tokens but the first."""
    states = []

    def keep(name, tensor):
        if name.startswith("hidden."):
            tensor = tensor.detach().requires_grad_() if name == "hidden.0" else tensor
            tensor.retain_grad()
            states.append(tensor)
        return tensor

    with torch.enable_grad():
        logits = model.tapped(torch.tensor([ids]), keep)[0]
        loss = torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]))
        loss.backward()
    return {
        "ids": ids,
        "loss": loss.item(),
        "norm": [state.grad[0].norm(dim=-1).tolist() for state in states],
        # Of every token the first eight dims.
        "first": [state.grad[0, :, :8].flatten().tolist() for state in states],
        "largest": [state.grad.abs().max().item() for state in states],
    }


def main() -> None:
    results = {}
    for name in MODELS:
        ids = [*prefix_of(name), *text_ids(TEXT, TOKENS)]
        results[name] = gradients(load(name), ids)
    write("test/references/gradients.json", round_floats(results))


if __name__ == "__main__":
    main()
