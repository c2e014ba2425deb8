"""Writes test/references/changes.json: what becomes of the demo models when single parts of them are changed, by PyTorch.

Every protocol is in test/references/README.md, under the name of the function's key.
"""

import torch
from reference import ROOT, Decoder, load, prefix_of, record, text_ids, with_line_feeds, write
from tokenizers import Tokenizer

TOKENIZER = Tokenizer.from_file(str(ROOT / "media/models/llama/tokenizer.json"))
CLEAN, CORRUPT = "The king of France went to", "The boat of France went to"
ANSWERS = (" his", " the")
TEXT = "It was a bright cold day in April, and the clocks were striking thirteen."
CALIBRATION, CHARACTERS = "test/text/pit-and-pendulum.md", 3000
POSITIVE = ("What a lovely day!", "She laughed and was happy.", "We were merry, and sang.")
NEGATIVE = ("What a dreadful day!", "She wept and was wretched.", "Death was near us.", "He died in pain.")
LAYER, STRENGTH = 4, 1.5


def ids_of(name: str, text: str) -> list[int]:
    return prefix_of(name) + TOKENIZER.encode(text, add_special_tokens=False).ids


def answers() -> list[int]:
    return [TOKENIZER.encode(one, add_special_tokens=False).ids[0] for one in ANSWERS]


def difference(logits: torch.Tensor) -> float:
    one, other = answers()
    last = logits[-1].double()
    return (last[one] - last[other]).item()


def nll(logits: torch.Tensor, ids: list[int]) -> float:
    """Mean of −ln p over all tokens but the first."""
    logs = torch.log_softmax(logits[:-1].double(), -1)
    return -logs.gather(1, torch.tensor(ids[1:])[:, None]).mean().item()


def changing(point: str, change):
    return lambda name, tensor: change(tensor.clone()) if name == point else tensor


def patching(model: Decoder, name: str) -> dict:
    clean, corrupt = ids_of(name, CLEAN), ids_of(name, CORRUPT)
    taken = record(model, clean)
    before, whole = difference(record(model, corrupt)["logits"]), difference(taken["logits"])

    def recovered(point: str, change) -> float:
        return (difference(record(model, corrupt, changing(point, change))["logits"]) - before) / (whole - before)

    def at(point: str, token: int) -> float:
        def change(x: torch.Tensor) -> torch.Tensor:
            x[0, token] = taken[point][token]
            return x

        return recovered(point, change)

    def head(block: int, index: int) -> float:
        def change(x: torch.Tensor) -> torch.Tensor:
            x[0, index] = taken[f"heads.{block}"][index]
            return x

        return recovered(f"heads.{block}", change)

    def attributed() -> dict[str, list[list[float]]]:
        """(clean - corrupt) times the gradient of the corrupt run's difference, over what all of it would be."""
        points: dict[str, torch.Tensor] = {}

        def keep(point: str, x: torch.Tensor) -> torch.Tensor:
            x = x.detach().requires_grad_() if point == "hidden.0" else x
            x.retain_grad()
            points[point] = x
            return x

        with torch.enable_grad():
            logits = model.tapped(torch.tensor([corrupt]), keep)[0, -1].double()
            one, other = answers()
            (logits[one] - logits[other]).backward()

        def share(point: str) -> torch.Tensor:
            x = points[point]
            return ((taken[point] - x.detach()[0]) * x.grad[0]).double() / (whole - before)

        grids = {"resid_post": [share(f"hidden.{k}").sum(-1).tolist() for k in range(model.config.layers + 1)]}
        for key in ("resid_mid", "attn_out", "mlp_out"):
            grids[key] = [share(f"{key}.{k}").sum(-1).tolist() for k in range(model.config.layers)]
        grids["head"] = [share(f"heads.{k}").sum((-1, -2)).tolist() for k in range(model.config.layers)]
        return grids

    layers, tokens = model.config.layers, range(len(clean))
    grids = {"resid_post": [[at(f"hidden.{k}", t) for t in tokens] for k in range(layers + 1)]}
    for key in ("resid_mid", "attn_out", "mlp_out"):
        grids[key] = [[at(f"{key}.{k}", t) for t in tokens] for k in range(layers)]
    grids["head"] = [[head(k, index) for index in range(model.config.heads)] for k in range(layers)]
    return {
        "model": name,
        "clean": CLEAN,
        "corrupt": CORRUPT,
        "answers": ANSWERS,
        "ids": {"clean": clean, "corrupt": corrupt, "answers": answers()},
        "cleanDifference": whole,
        "corruptDifference": before,
        "recovered": grids,
        "attribution": attributed(),
    }


def ablation(model: Decoder, name: str) -> dict:
    ids = ids_of(name, TEXT)
    prefix = prefix_of(name)
    own = len(ids) - len(prefix)
    read = with_line_feeds((ROOT / CALIBRATION).read_bytes().decode()[:CHARACTERS])
    pieces = TOKENIZER.encode(read, add_special_tokens=False).ids
    windows = [prefix + pieces[at : at + own] for at in range(0, len(pieces) - own + 1, own)]
    sums: dict[str, torch.Tensor] = {}
    for batch in torch.tensor(windows).split(64):
        for point, value in record(model, batch).items():
            if point.startswith(("heads.", "mlp_out.")):
                sums[point] = sums.get(point, 0) + value.double().sum(0)

    def mean_of(point: str) -> torch.Tensor:
        """By token: the first one's own mean, for the others that over all of them."""
        mean = sums[point] / len(windows)
        axis = mean.ndim - 2
        first, rest = mean.split([1, len(ids) - 1], dim=axis)
        return torch.cat([first, rest.mean(axis, keepdim=True).expand_as(rest)], dim=axis).float()

    def scored(point: str, index: int | None, value) -> list[float]:
        def change(x: torch.Tensor) -> torch.Tensor:
            if index is None:
                x[0] = value
            else:
                x[0, index] = value[index] if isinstance(value, torch.Tensor) else value
            return x

        logits = record(model, ids, changing(point, change))["logits"]
        return [nll(logits, ids), difference(logits)]

    as_is = record(model, ids)["logits"]
    rows = {}
    for kind in ("zero", "mean"):
        value = (lambda _: 0.0) if kind == "zero" else mean_of
        rows[kind] = {
            "heads": [
                [scored(f"heads.{k}", h, value(f"heads.{k}")) for h in range(model.config.heads)]
                for k in range(model.config.layers)
            ],
            "mlps": [scored(f"mlp_out.{k}", None, value(f"mlp_out.{k}")) for k in range(model.config.layers)],
        }
    return {
        "model": name,
        "text": TEXT,
        "answers": ANSWERS,
        "calibration": [CALIBRATION, CHARACTERS],
        "windows": len(windows),
        "asIs": [nll(as_is, ids), difference(as_is)],
        **rows,
    }


def steering(model: Decoder, name: str) -> dict:
    point = f"hidden.{LAYER}"

    def mean(texts: tuple[str, ...]) -> torch.Tensor:
        return torch.stack([record(model, ids_of(name, text))[point][-1].double() for text in texts]).mean(0)

    direction = (mean(POSITIVE) - mean(NEGATIVE)).float()
    unit = direction / direction.norm()
    ids = ids_of(name, TEXT)

    def run(change) -> dict:
        points = record(model, ids, changing(point, change))
        probabilities = torch.softmax(points["logits"][-1].double(), -1)
        top = probabilities.topk(3)
        return {
            "loss": nll(points["logits"], ids),
            "top": [[i, p] for i, p in zip(top.indices.tolist(), top.values.tolist(), strict=True)],
            "largest": [points[f"hidden.{k}"].abs().max().item() for k in range(model.config.layers + 1)],
        }

    return {
        "model": name,
        "text": TEXT,
        "positive": POSITIVE,
        "negative": NEGATIVE,
        "layer": LAYER,
        "strength": STRENGTH,
        "direction": direction.tolist(),
        "asIs": run(lambda x: x),
        "added": run(lambda x: x + STRENGTH * direction),
        "projectedOut": run(lambda x: x - (x @ unit)[..., None] * unit),
    }


def cancelling(model: Decoder, name: str) -> dict:
    ids = prefix_of(name) + text_ids("media/sample.md")
    points = record(model, ids)
    layers = model.config.layers
    states = torch.stack([points[f"hidden.{k}"] for k in range(layers + 1)])
    at = states.abs().flatten().argmax().item()
    token, dim = at // states.shape[2] % states.shape[1], at % states.shape[2]
    weight = [block.mlp.down.weight.float() for block in model.blocks]
    projection = [block.attn.proj.weight.float() for block in model.blocks]

    def largest(read: torch.Tensor, matrix: torch.Tensor) -> list[list[float]]:
        """[row of the weight, what it is multiplied by, the weight], the largest products first."""
        products = read * matrix[:, dim]
        order = products.abs().argsort(descending=True)[:3].tolist()
        return [[i, read[i].item(), matrix[i, dim].item()] for i in order]

    z = [points[f"heads.{k}"][:, token].flatten() for k in range(layers)]
    return {
        "model": name,
        "token": token,
        "dim": dim,
        "hidden": states[:, token, dim].tolist(),
        "attention": [points[f"attn_out.{k}"][token, dim].item() for k in range(layers)],
        "mlp": [points[f"mlp_out.{k}"][token, dim].item() for k in range(layers)],
        "weights": {
            "attention": [largest(z[k], projection[k]) for k in range(layers)],
            "mlp": [largest(points[f"mlp.{k}"][token], weight[k]) for k in range(layers)],
        },
    }


def origin(model: Decoder, name: str) -> dict:
    """Which weights make an entry of a hidden state: the products w * dh/dw of largest magnitude."""
    ids, layer, token, dim = ids_of(name, TEXT), 4, 0, 239
    matrices = {
        (k, part): matrix
        for k, block in enumerate(model.blocks[:layer], 1)
        for part, matrix in block.named_parameters()
        if matrix.ndim == 2
    }
    own = load(name).float()
    for (k, part), _ in matrices.items():
        matrices[k, part] = own.blocks[k - 1].get_parameter(part).requires_grad_()
    states: dict[str, torch.Tensor] = {}

    def keep(point: str, x: torch.Tensor) -> torch.Tensor:
        states[point] = x
        return x

    with torch.enable_grad():
        own.tapped(torch.tensor([ids]), keep)
        value = states[f"hidden.{layer}"][0, token, dim]
        value.backward()
    entries = []
    for (k, part), matrix in matrices.items():
        products = matrix.detach() * matrix.grad
        for at in products.abs().flatten().topk(8).indices.tolist():
            read, gives = divmod(at, matrix.shape[1])
            entries.append([k, part, gives, read, matrix[read, gives].item(), products[read, gives].item()])
    entries.sort(key=lambda entry: -abs(entry[-1]))
    return {"model": name, "text": TEXT, "of": [layer, token, dim], "value": value.item(), "entries": entries[:8]}


def saliency(model: Decoder, name: str) -> dict:
    """h_0 times the gradient of the first answer's logit after the last token, summed over dims."""
    ids = ids_of(name, CLEAN)
    states: list[torch.Tensor] = []

    def keep(point: str, x: torch.Tensor) -> torch.Tensor:
        if point == "hidden.0":
            x = x.detach().requires_grad_()
            states.append(x)
        return x

    with torch.enable_grad():
        logit = model.tapped(torch.tensor([ids]), keep)[0, -1, answers()[0]]
        logit.backward()
    (h0,) = states
    return {"ids": ids, "next": answers()[0], "logit": logit.item(), "saliency": (h0.detach() * h0.grad)[0].sum(-1).tolist()}


if __name__ == "__main__":
    llama = load("llama")
    write(
        "test/references/changes.json",
        {f.__name__: f(llama, "llama") for f in (patching, ablation, steering, cancelling, origin, saliency)},
    )
