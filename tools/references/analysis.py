"""Writes test/references/analysis.json: what an analysis of media/sample.md must show, by PyTorch.

Definitions are in test/references/README.md.
"""

import torch
from reference import MODELS, ROOT, load, prefix_of, record, text_ids, write
from tokenizers import Tokenizer

SAMPLE = "media/sample.md"
ABSOLUTE, RATIO, SOFT, EPSILON, MIN_QUERIES, MIN_SHARE = 100, 1000, 100, 0.3, 8, 0.1


def largest(h: torch.Tensor, count: int) -> list[dict]:
    """The entries of h [T, D] of largest magnitude; ties by token, then dim."""
    order = h.abs().flatten().sort(descending=True, stable=True).indices[:count].tolist()
    return [{"value": h.flatten()[i].item(), "token": i // h.shape[1], "dim": i % h.shape[1]} for i in order]


def layer(h: torch.Tensor) -> dict:
    magnitude = h.abs()
    tokens = sorted({0, 1, 2, len(h) // 2, len(h) - 1})
    return {
        "top": largest(h, 3),
        "median": magnitude.median().item(),
        "tokenMax": {t: [magnitude[t].max().item(), magnitude[t].argmax().item()] for t in tokens},
        "tokenNorm": {t: h[t].norm().item() for t in tokens},
        "dimMax": {d: magnitude[:, d].max().item() for d in (0, 1, h.shape[1] - 1)},
    }


def marked(states: list[torch.Tensor], absolute: float, ratio: float) -> list[dict]:
    """Entries (token, dim) above both thresholds in some layer, with the first and last such layer."""
    found: dict[tuple[int, int], list[int]] = {}
    for k, h in enumerate(states):
        magnitude = h.abs()
        hit = (magnitude > absolute) & (magnitude >= ratio * magnitude.median())
        for token, dim in hit.nonzero().tolist():
            found.setdefault((token, dim), []).append(k)
    return [{"token": t, "dim": d, "onset": ks[0], "last": ks[-1]} for (t, d), ks in sorted(found.items())]


def column_means(pattern: torch.Tensor) -> torch.Tensor:
    """alpha [heads, T]: mean of A[h, i, k] over the queries i ≥ k, for a square causal pattern [heads, T, T]."""
    rows = torch.arange(pattern.shape[1], 0, -1)
    return pattern.sum(1) / rows


def analyse(name: str) -> dict:
    model, tokenizer = load(name), Tokenizer.from_file(str(ROOT / "media/models" / name / "tokenizer.json"))
    ids = prefix_of(name) + text_ids(SAMPLE)
    points = record(model, ids)
    states = [points[f"hidden.{k}"] for k in range(model.config.layers + 1)]
    patterns = torch.stack([points[f"attn.{k}"] for k in range(model.config.layers)])  # [L, heads, T, keys]
    extra = patterns[..., :1].mean(2)[..., 0] if model.config.key_value_bias else None
    square = patterns[..., 1:] if model.config.key_value_bias else patterns
    alpha = torch.stack([column_means(pattern) for pattern in square])  # [L, heads, T]
    share = (alpha > EPSILON).flatten(0, 1).float().mean(0)
    probabilities = points["logits"][-1].softmax(0)
    best = probabilities.topk(5)
    return {
        "prefix": prefix_of(name),
        "ids": ids,
        "layers": [layer(h) for h in states],
        "massive": marked(states, ABSOLUTE, RATIO),
        "large": marked(states, 0, SOFT),
        "alphaFirst": alpha[..., 0].tolist(),
        "alphaExtra": None if extra is None else extra.tolist(),
        "sinks": [
            {"token": t, "heads": round(share[t].item() * alpha.shape[0] * alpha.shape[1])}
            for t in range(len(ids))
            if len(ids) - t >= MIN_QUERIES and share[t] >= MIN_SHARE
        ],
        "predictions": [
            {"id": i, "text": tokenizer.decode([i], skip_special_tokens=False), "probability": p}
            for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ],
    }


if __name__ == "__main__":
    thresholds = {
        "absolute": ABSOLUTE,
        "ratio": RATIO,
        "soft": SOFT,
        "epsilon": EPSILON,
        "minQueries": MIN_QUERIES,
        "minShare": MIN_SHARE,
    }
    models = {name: analyse(name) for name in MODELS}
    write("test/references/analysis.json", {"text": SAMPLE, "thresholds": thresholds, "models": models})
