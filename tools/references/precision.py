"""Writes test/references/precision.json: what int8 costs at the input of every product of the demo models, by PyTorch.

The protocol is in test/references/README.md.
"""

import torch
from reference import MODELS, Decoder, load, prefix_of, record, text_ids, write

TEXT, TOKENS = "test/text/three-men-in-a-boat.md", 256


def rounded(x: torch.Tensor, scale: torch.Tensor) -> tuple[float, float]:
    """‖x − q(x)‖ ÷ ‖x‖, and the share of entries that are not 0 and become 0; `torch.round` rounds half to even."""
    steps = torch.round(x / scale)
    error = ((x - steps * scale).norm() / x.norm()).item()
    return error, ((steps == 0) & (x != 0)).double().mean().item()


def costs(x: torch.Tensor) -> dict:
    """Of what a product reads, [T, D]."""
    x = x.double()
    rows = x.abs().amax(1, keepdim=True)
    tensor, token = rounded(x, rows.max() / 127), rounded(x, rows / 127)
    centred = x - x.mean()
    return {
        "max": rows.max().item(),
        "at": list(divmod(x.abs().argmax().item(), x.shape[1])),
        "int8": {"tensor": tensor[0], "token": token[0]},
        "underflow": {"tensor": tensor[1], "token": token[1]},
        "dispersion": (rows.max() / rows.median()).item(),
        "kurtosis": (centred.pow(4).mean() / centred.pow(2).mean() ** 2 - 3).item(),
    }


def products(model: Decoder, points: dict[str, torch.Tensor]) -> list[dict]:
    found = []
    for k, block in enumerate(model.blocks):
        heads = points[f"heads.{k}"].transpose(0, 1)
        inputs = {
            "attn_in": points[f"normed.{k}"],
            "attn_out": heads.reshape(heads.shape[0], -1),
            "mlp_in": block.n2(points[f"resid_mid.{k}"]),
            "mlp_out": points[f"mlp.{k}"],
        }
        found += [{"block": k + 1, "part": part, **costs(x)} for part, x in inputs.items()]
    return [*found, {"block": len(model.blocks) + 1, "part": "head", **costs(points["final"])}]


def largest(x: torch.Tensor) -> list:
    return [x.abs().max().item(), *divmod(x.abs().argmax().item(), x.shape[-1])]


def passport(model: Decoder, points: dict[str, torch.Tensor]) -> dict:
    """Largest magnitude, token and dim; of norms that of the squares."""
    layers = range(len(model.blocks))
    states = [points[f"hidden.{k}"] for k in range(len(model.blocks) + 1)]
    mids = [points[f"resid_mid.{k}"] for k in layers]
    normed = [x for k in layers for x in (states[k], mids[k])] + [states[-1]]
    return {
        "resid_post": [largest(x) for x in states],
        "resid_mid": [largest(x) for x in mids],
        "norm_squares": [largest(x.pow(2)) for x in normed],
        "mlp_out_product": [largest(points[f"mlp_out.{k}"]) for k in layers],
        "logits": largest(points["logits"]),
    }


def outlier_dims(model: Decoder, points: dict[str, torch.Tensor], magnitude: float) -> list[int]:
    """LLM.int8() with another magnitude than 6: dims of what q, k, v, the output projection and the MLP's first products read."""
    read = [
        x
        for k, block in enumerate(model.blocks)
        for x in (
            points[f"normed.{k}"],
            points[f"heads.{k}"].transpose(0, 1).flatten(1),
            block.n2(points[f"resid_mid.{k}"]),
        )
    ]
    counts = torch.stack([(x.abs() >= magnitude).sum(0) for x in read])
    # A layer has three of these inputs.
    layers = (counts.reshape(len(model.blocks), 3, -1).sum(1) > 0).sum(0) >= 0.25 * len(model.blocks)
    positions = counts.sum(0) >= 0.06 * len(read) * len(read[0])
    return torch.nonzero(layers & positions).flatten().tolist()


def main() -> None:
    result = []
    for name in MODELS:
        model = load(name)
        points = record(model, [*prefix_of(name), *text_ids(TEXT)][:TOKENS])
        result.append(
            {
                "model": name,
                "tokens": TOKENS,
                "products": products(model, points),
                "passport": passport(model, points),
                "outlierDims": {str(m): outlier_dims(model, points, m) for m in (6, 2)},
            }
        )
    write("test/references/precision.json", {"models": result})


if __name__ == "__main__":
    main()
