"""Gradients of the demo models' loss by PyTorch's autograd: test/references/gradients.json, activation.json.

    python tools/references/gradients.py
"""

import torch
from reference import MODELS, load, prefix_of, round_floats, text_ids, write

TOKENS = 24
# Of all parameters of the blocks' matrices, the share that is set to 0.
PRUNED = 0.2
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


def activation(name: str, sequences: list[list[int]], others: list[list[int]]) -> dict:
    """Levels |w * dy/dw| of the matrices of each block (arXiv:2405.17799), y the largest logit after the last token."""
    model = load(name).float()
    matrices = [
        [p for part, p in block.named_parameters() if p.ndim == 2] for block in model.blocks
    ]

    def products(ids):
        for matrix in sum(matrices, []):
            matrix.requires_grad_().grad = None
        with torch.enable_grad():
            model(torch.tensor([ids]))[0, -1].max().backward()
        return [torch.cat([(p.detach() * p.grad).flatten() for p in block]).double() for block in matrices]

    def total(every):
        return [torch.stack(parts).sum(0) for parts in zip(*every, strict=True)]

    own, other = [products(ids) for ids in sequences], [products(ids) for ids in others]
    levels = [torch.stack([part.abs() for part in parts]).mean(0) for parts in zip(*own, strict=True)]
    def alike(a, b):
        return ((a * b).abs().sum() / (a.norm() * b.norm())).item()

    def loss(shares: list[float]) -> float:
        """Mean of -ln p with a share of each matrix at 0: entries no larger than the last that is to go."""
        pruned = load(name).float()
        for block, share in zip(pruned.blocks, shares, strict=True):
            for part, matrix in block.named_parameters():
                count = int(share * matrix.numel())
                if matrix.ndim == 2 and count > 0:
                    limit = matrix.abs().flatten().sort().values[count - 1]
                    matrix[matrix.abs() <= limit] = 0
        losses = [
            torch.nn.functional.cross_entropy(pruned(torch.tensor([ids]))[0, :-1].double(), torch.tensor(ids[1:]))
            for ids in sequences
        ]
        return torch.stack(losses).mean().item()

    sparsity = [(level <= 1e-5).double().mean().item() for level in levels]
    sizes = [len(level) for level in levels]
    scale = PRUNED * sum(sizes) / sum(size * s for size, s in zip(sizes, sparsity, strict=True))
    shares = [scale * s for s in sparsity]
    return {
        "sequences": sequences,
        "others": others,
        # Of a half of the sequences with the other half, and with as many of the others.
        "within": [alike(*pair) for pair in zip(*own, strict=True)],
        "between": [alike(*pair) for pair in zip(own[0], other[0], strict=True)],
        "pruned": {
            "share": PRUNED,
            "shares": shares,
            "asIs": loss([0.0] * len(shares)),
            "uniform": loss([PRUNED] * len(shares)),
            "bySparsity": loss(shares),
        },
        "parameters": [len(level) for level in levels],
        "mean": [level.mean().item() for level in levels],
        "above": [[(level > at).double().mean().item() for at in (1e-6, 1e-5, 1e-4)] for level in levels],
        "similarity": [alike(*pair) for pair in zip(total(own), total(other), strict=True)],
    }


def main() -> None:
    results = {}
    for name in MODELS:
        ids = [*prefix_of(name), *text_ids(TEXT, TOKENS)]
        results[name] = gradients(load(name), ids)
    tokens = text_ids(TEXT, 60)
    other = text_ids("test/text/pit-and-pendulum.md", 15)
    sequences = [[0, *tokens[i : i + 15]] for i in (0, 15)]
    write("test/references/activation.json", round_floats(activation("llama", sequences, [[0, *other]])))
    write("test/references/gradients.json", round_floats(results))


if __name__ == "__main__":
    main()
