"""Writes test/references/experiments.json: the papers' experiments on the demo models, by PyTorch.

Every protocol is in test/references/README.md, under the name of the function's key.
"""

import random
import time

import torch
from perplexity import BATCH, Protocol, losses, measure, perplexity, pieces, windows
from reference import MODELS, ROOT, Decoder, Tap, load, prefix_of, record, text_ids, write
from tokenizers import Tokenizer

BOATS, PENDULUM, WIKITEXT = (
    "test/text/three-men-in-a-boat.md",
    "test/text/pit-and-pendulum.md",
    "test/text/wikitext-2-test-head.txt",
)
SAMPLE = "media/sample.md"
MEASURED, CALIBRATED = Protocol(BOATS, 2048), Protocol(PENDULUM, 2048)
TOKENIZER = Tokenizer.from_file(str(ROOT / "media/models/llama/tokenizer.json"))
SEED = 0


def perplexities(models: dict[str, Decoder]) -> list[dict]:
    protocols = [
        Protocol(BOATS, 4096),
        Protocol(PENDULUM, 4096),
        Protocol(WIKITEXT, 4096),
        Protocol(BOATS, 1500, stride=128),
        Protocol(WIKITEXT, 700, window=64, stride=16),
        Protocol(PENDULUM, 1024, window=512, stride=512),
    ]
    return [measure(model, name, protocol) for name, model in models.items() for protocol in protocols]


def mean_states(model: Decoder, name: str, protocol: Protocol) -> torch.Tensor:
    """[layers + 1, window, dim]: each entry of the residual stream, averaged over the calibration windows."""
    fed, _ = windows(name, protocol)
    total = 0
    for batch in fed.split(BATCH):
        points = record(model, batch)
        total = total + torch.stack([points[f"hidden.{k}"].sum(0) for k in range(model.config.layers + 1)])
    return total / len(fed)


def onset_and_points(means: torch.Tensor, count: int) -> tuple[int, list[list[int]]]:
    """Layer of the largest jump of the top entry's ratio, and the `count` largest entries [token, dim] there."""
    magnitude = means.abs()
    ratios = [(m.max() / m.median()).item() for m in magnitude]
    onset = max(range(1, len(ratios)), key=lambda k: ratios[k] - ratios[k - 1])
    order = magnitude[onset].flatten().argsort(descending=True, stable=True)[:count].tolist()
    return onset, [[i // magnitude.shape[2], i % magnitude.shape[2]] for i in order]


def setting(points: list[list[int]], values: list[float], layers: range) -> Tap:
    """Sets entries (token, dim) of the residual stream at every one of `layers`."""
    names = {f"hidden.{k}" for k in layers}

    def tap(name: str, tensor: torch.Tensor) -> torch.Tensor:
        if name in names:
            tensor = tensor.clone()
            for (token, dim), value in zip(points, values, strict=True):
                tensor[:, token, dim] = value
        return tensor

    return tap


def interventions(name: str, model: Decoder, count: int) -> dict:
    means = mean_states(model, name, CALIBRATED)
    onset, points = onset_and_points(means, count)
    magnitude = means[onset].abs()
    near = (magnitude - magnitude.median()).abs().flatten().argsort(stable=True)[:count].tolist()
    median_points = [[i // magnitude.shape[1], i % magnitude.shape[1]] for i in near]
    draw = random.Random(SEED)
    random_points = [[draw.randrange(d) for d in magnitude.shape] for _ in range(count)]
    values = [means[onset, token, dim].item() for token, dim in points]
    zeros, at_onset = [0.0] * count, range(onset, onset + 1)
    taps = {
        "as is": setting([], [], at_onset),
        "zero": setting(points, zeros, at_onset),
        "mean": setting(points, values, at_onset),
        "zero everywhere": setting(points, zeros, range(1, model.config.layers + 1)),
        "random": setting(random_points, zeros, at_onset),
        "median": setting(median_points, zeros, at_onset),
    }
    fed, scored = windows(name, MEASURED)
    return {
        "model": name,
        "layer": onset,
        "points": points,
        "means": values,
        "randomPoints": random_points,
        "medianPoints": median_points,
        "rows": [{"name": n, "perplexity": perplexity(losses(model, fed, scored, tap))} for n, tap in taps.items()],
    }


def intervened_run(name: str, model: Decoder, layer: int, point: list[int]) -> dict:
    """One run on the sample with one entry set to zero: what every later number becomes."""
    tap = setting([point], [0.0], range(layer, layer + 1))
    points = record(model, [prefix_of(name) + text_ids(SAMPLE)], tap)
    states = [points[f"hidden.{k}"][0] for k in range(model.config.layers + 1)]
    alpha = torch.stack([points[f"attn.{b}"][0, :, :, 0].mean(1) for b in range(model.config.layers)])
    best = points["logits"][0, -1].softmax(0).topk(5)
    return {
        "model": name,
        "layer": layer,
        "point": point,
        "top": [[h.abs().max().item(), *divmod(h.abs().argmax().item(), h.shape[1])] for h in states],
        "median": [h.abs().median().item() for h in states],
        "alphaFirst": alpha.tolist(),
        "predictions": [
            {"id": i, "probability": p} for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)
        ],
    }


def survey(name: str, model: Decoder, sequences: int = 20, length: int = 128) -> dict:
    prefix = prefix_of(name)
    cut = pieces(text_ids(BOATS, sequences * length), length - len(prefix), length - len(prefix))[:sequences]
    found: dict[tuple, list[tuple[int, float, bool, str]]] = {}
    for n, piece in enumerate(cut.tolist()):
        ids = prefix + piece
        points = record(model, ids)
        states = torch.stack([points[f"hidden.{k}"] for k in range(model.config.layers + 1)])
        ratio = states.abs() / torch.stack([h.abs().median() for h in states])[:, None, None]
        text = [TOKENIZER.decode([i], skip_special_tokens=False) for i in ids]
        delimiter = next((t for t in range(1, len(ids)) if text[t].strip() in {".", ",", ";", ":", "!", "?"}), None)
        for token, dim in (ratio >= 100).any(0).nonzero().tolist():
            kind = "start" if token == 0 else "first delimiter" if token == delimiter else "other"
            peak = int(states[:, token, dim].abs().argmax())
            massive = bool(((states[:, token, dim].abs() > 100) & (ratio[:, token, dim] >= 1000)).any())
            found.setdefault((dim, kind), []).append((n, states[peak, token, dim].item(), massive, text[token]))
    rows = []
    for (dim, kind), hits in sorted(found.items()):
        values = torch.tensor([value for _, value, _, _ in hits], dtype=torch.float64)
        rows.append(
            {
                "dim": dim,
                "kind": kind,
                "sequences": len({n for n, *_ in hits}),
                "massiveSequences": len({n for n, _, massive, _ in hits if massive}),
                "entries": len(hits),
                "mean": values.mean().item(),
                "deviation": values.std().item() if len(hits) > 1 else None,
            }
        )
    return {"model": name, "file": BOATS, "sequences": len(cut), "length": length, "rows": rows}


def domains(name: str, model: Decoder, sequences: int = 12, length: int = 64) -> dict:
    """Attention on the first token by head, [corpus][block][head]: mean over sequences and its standard error."""
    prefix = prefix_of(name)
    means, errors = [], []
    for file in (BOATS, WIKITEXT):
        cut = pieces(text_ids(file, sequences * length), length - len(prefix), length - len(prefix))[:sequences]
        shares = []
        for piece in cut.tolist():
            points = record(model, prefix + piece)
            shares.append(torch.stack([points[f"attn.{b}"][:, :, 0].mean(1) for b in range(model.config.layers)]))
        stacked = torch.stack(shares).double()
        means.append(stacked.mean(0).tolist())
        errors.append((stacked.std(0) / len(shares) ** 0.5).tolist())
    return {
        "model": name,
        "files": [BOATS, WIKITEXT],
        "sequences": sequences,
        "length": length,
        "means": means,
        "errors": errors,
    }


def mean_cosine(vectors: torch.Tensor) -> float:
    """Mean cosine similarity over all pairs of different rows of [n, dims]."""
    unit = torch.nn.functional.normalize(vectors.double(), dim=-1)
    n = len(unit)
    return ((unit.sum(0).square().sum() - unit.square().sum()) / (n * (n - 1))).item()


def participation(x: torch.Tensor) -> float:
    """(Σx²)² / Σx⁴: 1 for one spike, the number of dims for a flat vector."""
    square = x.double().square()
    return (square.sum() ** 2 / square.square().sum()).item()


def implicit_bias(name: str, model: Decoder) -> dict:
    """Key 0 (the first token, or the extra column) against the rest, on the sample."""
    points = record(model, prefix_of(name) + text_ids(SAMPLE))
    layers = []
    for b, block in enumerate(model.blocks):
        pattern, value, key = points[f"attn.{b}"], points[f"value.{b}"], points[f"key.{b}"]
        first = (pattern[:, :, :1] * value[:, None, 0])[:, 1:]  # [heads, T − 1, head_dim]
        rest = (pattern[:, :, 1:] @ value[:, 1:])[:, 1:]

        def projected(update: torch.Tensor, block=block) -> torch.Tensor:
            return block.attn.proj(update.transpose(0, 1).flatten(1))

        h, normed = points[f"hidden.{b}"], points[f"normed.{b}"]
        layers.append(
            {
                "firstNorm": first.norm(dim=-1).mean(1).tolist(),
                "restNorm": rest.norm(dim=-1).mean(1).tolist(),
                "restCosine": [mean_cosine(head) for head in rest],
                "projectedFirstNorm": projected(first).norm(dim=-1).mean().item(),
                "projectedRestNorm": projected(rest).norm(dim=-1).mean().item(),
                "projectedFirstCosine": mean_cosine(projected(first)),
                "projectedRestCosine": mean_cosine(projected(rest)),
                "participationInput": [participation(h[0]), sum(map(participation, h[1:])) / (len(h) - 1)],
                "participationNormed": [
                    participation(normed[0]),
                    sum(map(participation, normed[1:])) / (len(h) - 1),
                ],
                "keyNorm": [key[:, 0].norm(dim=-1).tolist(), key[:, 1:].norm(dim=-1).mean(1).tolist()],
                "valueNorm": [value[:, 0].norm(dim=-1).tolist(), value[:, 1:].norm(dim=-1).mean(1).tolist()],
            }
        )
    return {"model": name, "file": SAMPLE, "blocks": layers}


def super_weights(name: str, model: Decoder, most: int = 6) -> dict:
    """The scalars between the largest entries of the MLPs' last products, each found without those before."""
    fed, _ = windows(name, CALIBRATED)
    measured, scored = windows(name, MEASURED)
    found = []

    def spike(points: dict[str, torch.Tensor], block: int) -> dict | None:
        x, y = points[f"mlp.{block}"], points[f"mlp_out.{block}"]
        (token, row), (source, column) = (divmod(t.abs().argmax().item(), t.shape[1]) for t in (x, y)[::-1])
        value = model.blocks[block].mlp.down.weight[column, row].item()
        share = value * x[source, column].item() / y[token, row].item()
        ratio, inputs = ((t.abs().max() / t.abs().median()).item() for t in (y, x))
        if token != source or min(ratio, inputs) < 100 or share < 0.5:
            return None
        place = {"block": block, "token": token, "row": row, "column": column}
        return {**place, "value": value, "share": share, "ratio": ratio}

    def without(scalars: list[dict]) -> float:
        for s in scalars:
            model.blocks[s["block"]].mlp.down.weight[s["column"], s["row"]] = 0
        result = perplexity(losses(model, measured, scored))
        for s in scalars:
            model.blocks[s["block"]].mlp.down.weight[s["column"], s["row"]] = s["value"]
        return result

    while len(found) < most:
        for s in found:
            model.blocks[s["block"]].mlp.down.weight[s["column"], s["row"]] = 0
        points = record(model, fed[0])
        spikes = [s for b in range(model.config.layers) if (s := spike(points, b))]
        for s in found:
            model.blocks[s["block"]].mlp.down.weight[s["column"], s["row"]] = s["value"]
        if not spikes:
            break
        found.append(max(spikes, key=lambda s: s["ratio"]))
    return {"found": [{**s, "perplexity": without([s])} for s in found], "together": without(found)}


def massive_weights(name: str, model: Decoder, k: int = 5) -> dict:
    means = mean_states(model, name, CALIBRATED)
    onset, ((token, _),) = onset_and_points(means, 1)
    block = onset - 1
    fed, _ = windows(name, CALIBRATED)
    intermediate = torch.cat([record(model, batch)[f"mlp.{block}"][:, token] for batch in fed.split(BATCH)]).mean(0)
    top = intermediate.abs().argsort(descending=True, stable=True)[:k]
    draw = random.Random(SEED)
    rest = [d for d in range(model.config.hidden) if d not in top.tolist()]
    chosen = {"massive": top.tolist(), "random": sorted(draw.sample(rest, k))}

    def masked(dims: list[int], keep: bool) -> Tap:
        factor = torch.full((model.config.hidden,), 0.0 if keep else 1.0)
        factor[dims] = 1.0 if keep else 0.0
        return lambda point, tensor: tensor * factor if point == f"mlp.{block}" else tensor

    measured, scored = windows(name, MEASURED)
    rows = [{"name": "as is", "perplexity": perplexity(losses(model, measured, scored))}]
    for kind, dims in chosen.items():
        for verb in ("zero", "keep only"):
            loss = losses(model, measured, scored, masked(dims, verb == "keep only"))
            rows.append({"name": f"{verb} {kind}", "perplexity": perplexity(loss)})
    return {
        "model": name,
        "superWeights": super_weights(name, model),
        "block": block,
        "token": token,
        "dims": top.tolist(),
        "values": intermediate[top].tolist(),
        "randomDims": chosen["random"],
        "rows": rows,
    }


def int8_error(h: torch.Tensor, dim: int | None, rest: torch.Tensor) -> float:
    """‖(h − dequantised) over `rest`‖ / ‖h over `rest`‖, symmetric int8 with the largest magnitude at 127."""
    largest = h.abs().max() if dim is None else h.abs().amax(dim, keepdim=True)
    scale = torch.where(largest > 0, largest / 127, 1.0)
    error = h - (h / scale).round().clamp(-127, 127) * scale
    return (error[rest].norm() / h[rest].norm()).item()


def outliers(name: str, model: Decoder) -> dict:
    points = record(model, (prefix_of(name) + text_ids(BOATS))[:256])
    states = [points[f"hidden.{k}"] for k in range(model.config.layers + 1)]
    normed = [points[f"normed.{b}"] for b in range(model.config.layers)]

    def features(tensors: list[torch.Tensor]) -> list[int]:
        above = torch.stack(tensors).abs() >= 6  # [layers, T, D]
        layers, positions = above.any(1).float().mean(0), above.flatten(0, 1).float().mean(0)
        return ((layers >= 0.25) & (positions >= 0.06)).nonzero().flatten().tolist()

    def errors_of(h: torch.Tensor) -> dict:
        rest = h.abs() < 100 * h.abs().median()
        without = torch.where(rest, h, 0.0)
        axes = {"tensor": None, "token": 1, "channel": 0}
        return {
            "removed": (~rest).nonzero().tolist(),
            "with": {axis: int8_error(h, dim, rest) for axis, dim in axes.items()},
            "without": {axis: int8_error(without, dim, rest) for axis, dim in axes.items()},
        }

    return {
        "model": name,
        "file": BOATS,
        "tokens": 256,
        "outlierDims": features(states),
        "outlierDimsOfNormed": features(normed),
        "int8": [errors_of(h) for h in states],
        "int8Mid": [errors_of(points[f"resid_mid.{b}"]) for b in range(model.config.layers)],
    }


def lens(name: str, model: Decoder) -> dict:
    """Logit lens at some tokens of the sample, and what each part of the model adds to its last prediction."""
    ids = prefix_of(name) + text_ids(SAMPLE)
    points = record(model, ids)
    rows = []
    for k in range(model.config.layers + 1):
        probabilities = model.unembed(points[f"hidden.{k}"]).softmax(-1)
        for token in (0, 11, len(ids) - 1):
            best = probabilities[token].topk(3)
            pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
            rows.append({"layer": k, "token": token, "top": [list(pair) for pair in pairs]})
    target = int(points["logits"][-1].argmax())
    last = points[f"hidden.{model.config.layers}"][-1]
    direction = model.norm.weight * torch.rsqrt(last.square().mean() + model.norm.eps) * model.wte[target].float()
    parts = {"embedding": points["hidden.0"][-1]}
    for b in range(model.config.layers):
        parts[f"attention {b}"], parts[f"mlp {b}"] = points[f"attn_out.{b}"][-1], points[f"mlp_out.{b}"][-1]
    return {
        "model": name,
        "file": SAMPLE,
        "lens": rows,
        "attribution": {
            "token": len(ids) - 1,
            "target": target,
            "logit": points["logits"][-1, target].item(),
            "parts": {part: (vector @ direction).item() for part, vector in parts.items()},
        },
    }


def streaming(name: str, model: Decoder, window: int = 64, sinks: int = 4, length: int = 512) -> dict:
    protocol = Protocol(BOATS, 2048, window=length)
    fed, scored = windows(name, protocol)
    extra = int(model.config.key_value_bias)
    query, key = torch.arange(length)[:, None], torch.arange(length)[None]
    causal = key <= query
    kept = {
        "all": causal,
        "window": causal & (key > query - window),
        "window and sinks": causal & ((key > query - (window - sinks)) | (key < sinks)),
    }

    def with_extra(seen: torch.Tensor) -> torch.Tensor:
        return torch.cat([torch.ones(length, extra, dtype=torch.bool), seen], dim=1)

    points = record(model, fed[0])
    late = torch.arange(length) >= window  # queries for which the window leaves something out
    shares = {}
    for kind, seen in kept.items():
        lost = ~with_extra(seen)
        shares[kind] = [
            (points[f"attn.{b}"] * lost).sum(-1)[:, late].mean(1).tolist() for b in range(model.config.layers)
        ]
    del shares["all"]
    masks = {kind: torch.where(with_extra(seen), 0.0, float("-inf")) for kind, seen in kept.items()}
    return {
        "model": name,
        "file": BOATS,
        "window": window,
        "sinks": sinks,
        "length": length,
        "evictedShare": shares,
        "perplexity": {kind: perplexity(losses(model, fed, scored, mask=mask)) for kind, mask in masks.items()},
    }


def main() -> None:
    models = {name: load(name) for name in MODELS}
    result: dict[str, object] = {}
    start = time.time()
    parts = {
        "perplexity": lambda: perplexities(models),
        "asIs": lambda: [measure(models["llama"], "llama", Protocol(BOATS, 1500, stride=128, as_is=True))],
        "interventions": lambda: [
            interventions(name, models[name], count)
            for name, count in (("llama", 1), ("llama", 2), ("llama-bias", 1), ("llama-sink", 1))
        ],
        "intervenedRun": lambda: [intervened_run("llama", models["llama"], 2, [0, 239])],
        "survey": lambda: [survey(n, m) for n, m in models.items()],
        "domains": lambda: [domains(n, models[n]) for n in ("llama", "llama-plain")],
        "implicitBias": lambda: [implicit_bias(n, models[n]) for n in ("llama", "llama-bias")],
        "massiveWeights": lambda: [massive_weights(n, models[n]) for n in ("llama", "llama-sink")],
        "outliers": lambda: [outliers(n, m) for n, m in models.items()],
        "lens": lambda: [lens(n, models[n]) for n in ("llama", "llama-bias")],
        "streaming": lambda: [streaming(n, m) for n, m in models.items()],
    }
    for part, compute in parts.items():
        result[part] = compute()
        print(f"{part}: {time.time() - start:.0f} s")
    write("test/references/experiments.json", result)


if __name__ == "__main__":
    main()
