"""Writes test/references/streaming.json: sequences through a rolling cache as in StreamingLLM (arXiv:2309.17453).

Token by token, nothing but the cache being remembered. The demo models by PyTorch, with keys kept from before their
rotary positions; cached fixtures by ONNX Runtime, with the keys that they give turned on by what they move in the cache.
"""

import math

import numpy as np
import onnxruntime
import torch
from reference import MODELS, ROOT, Decoder, load, prefix_of, record, text_ids, write

BOATS = "test/text/three-men-in-a-boat.md"
WINDOW, SINKS = 48, 4


def rounded(row: torch.Tensor, bits: int) -> torch.Tensor:
    """Each last axis to 2^bits values from its least to its greatest entry."""
    low, high = row.amin(-1, keepdim=True), row.amax(-1, keepdim=True)
    scale = (high - low) / (2**bits - 1)
    return torch.where(scale > 0, low + ((row - low) / scale).round() * scale, row)


class Rolling:
    """One step of a demo model at a time; `window` keys in all, the first `sinks` of them never dropped."""

    def __init__(
        self,
        model: Decoder,
        window: int,
        sinks: int,
        bits: int | None = None,
        kept: int = 0,
        medians: list[float] | None = None,
    ):
        """With `medians` of the states that enter the blocks, tokens with a massive activation are not rounded."""
        self.model, self.window, self.sinks, self.bits, self.kept = model, window, sinks, bits, kept
        self.medians = medians
        self.cache: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in model.blocks]
        self.dropped: list[list[torch.Tensor]] = [[] for _ in model.blocks]
        self.evicted = [torch.zeros(block.attn.heads, dtype=torch.double) for block in model.blocks]
        self.queries = 0
        self.seen = 0

    def stores(self, block: int, h: torch.Tensor) -> bool:
        """Whether what the token of this state has is kept as it is."""
        peak = h.abs().max().item()
        massive = self.medians is not None and peak > 100 and peak >= 1000 * self.medians[block]
        return self.bits is None or self.seen < self.kept or massive

    def turned(self, x: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        angles = positions[:, None].double() * self.model.frequencies.double()
        a, b = x.double().chunk(2, dim=-1)
        return torch.cat([a * angles.cos() - b * angles.sin(), b * angles.cos() + a * angles.sin()], -1).float()

    def step(self, token: int) -> torch.Tensor:
        """Logits of what comes after `token`."""
        m = self.model
        place = min(self.seen, self.window - 1)
        h = m.wte[token].float()
        if m.wpe is not None:
            h = h + m.wpe[place].float()
        for index, (block, cache) in enumerate(zip(m.blocks, self.cache, strict=True)):
            whole = self.stores(index, h)
            store = lambda row: row if whole else rounded(row, self.bits)  # noqa: B023, E731
            attn, x = block.attn, block.n1(h)
            heads = lambda y: y.reshape(attn.heads, attn.head_dim)  # noqa: E731
            q, k, v = heads(attn.q(x)), heads(attn.k(x)), heads(attn.v(x))
            if len(cache) == self.window:
                self.dropped[index].append(cache[self.sinks][0])
                del cache[self.sinks]
            cache.append((store(k), store(v)))
            places = torch.arange(len(cache))
            keys = self.turned(torch.stack([k for k, _ in cache], 1), places)
            values = torch.stack([v for _, v in cache], 1)
            if attn.k_bias is not None:
                keys = torch.cat([attn.k_bias.float(), keys], 1)
                values = torch.cat([attn.v_bias.float(), values], 1)
            query = self.turned(q[:, None], torch.tensor([len(cache) - 1]))
            scores = query @ keys.transpose(1, 2) / math.sqrt(attn.head_dim)
            if self.dropped[index]:
                # Where they would be in the sequence: behind the first ones.
                far = torch.stack(self.dropped[index], 1)
                far = self.turned(far, torch.arange(self.sinks, self.sinks + far.shape[1]))
                gone = self.turned(q[:, None], torch.tensor([self.seen])) @ far.transpose(1, 2)
                gone = (gone / math.sqrt(attn.head_dim)).double()
                both = torch.cat([scores.double(), gone], -1).softmax(-1)
                self.evicted[index] += both[:, 0, -gone.shape[-1] :].sum(-1)
            weights = scores.softmax(-1)
            h = h + attn.proj((weights @ values).flatten())
            h = h + block.mlp(block.n2(h), 0, lambda _, t: t)
        self.queries += bool(self.dropped[0])
        self.seen += 1
        return m.unembed(h)


def losses_of(step, ids: list[int]) -> list[float]:
    found = []
    for token, following in zip(ids, ids[1:], strict=False):
        found.append(-step(token).double().log_softmax(-1)[following].item())
    return found


def demo(name: str, tokens: int = 160) -> dict:
    model = load(name).float()  # else every step converts every matrix
    ids = (prefix_of(name) + text_ids(BOATS, tokens))[:tokens]
    ways = {"rolling": Rolling(model, WINDOW, SINKS)}
    if name == "llama":
        ways["int4"] = Rolling(model, WINDOW, SINKS, 4)
        ways["int4 but sinks"] = Rolling(model, WINDOW, SINKS, 4, SINKS)
        points = record(model, ids)
        medians = [points[f"hidden.{block}"].abs().flatten().median().item() for block in range(len(model.blocks))]
        ways["int4 but massive"] = Rolling(model, WINDOW, SINKS, 4, medians=medians)
    result = {key: losses_of(way.step, ids) for key, way in ways.items()}
    place = torch.arange(tokens)
    query, key = place[:, None], place[None]
    for kind, seen in (
        ("all", key <= query),
        ("sequence", (key <= query) & ((key > query - (WINDOW - SINKS)) | (key < SINKS))),
    ):
        extra = torch.ones(tokens, int(model.config.key_value_bias), dtype=torch.bool)
        mask = torch.where(torch.cat([extra, seen], 1), 0.0, float("-inf"))
        logits = model.tapped(torch.tensor([ids]), lambda _, t: t, mask)[0, :-1].double()
        result[kind] = torch.nn.functional.cross_entropy(logits, torch.tensor(ids[1:]), reduction="none").tolist()
    mean = {key: sum(value) / len(value) for key, value in result.items()}
    rolled = ways["rolling"]
    rolled.step(ids[-1])
    evicted = [(mass / rolled.queries).tolist() for mass in rolled.evicted]
    last = {k: v[-8:] for k, v in result.items()}
    return {"model": name, "tokens": tokens, "mean": mean, "last": last, "evicted": evicted}


# The rotary dims of each, of which halves are pairs; none where positions are not rotary.
FIXTURES = {
    "gpt2-optimum-past": 0,
    "opt-optimum-past": 0,
    "bloom-optimum-past": 0,
    "llama-optimum-past": 1.0,
    "gpt_neox-optimum-past": 0.5,
    "phi-optimum-past": 0.5,
}


def fixture(name: str, rotary: float, tokens: int = 40, window: int = 12, sinks: int = 3) -> dict:
    session = onnxruntime.InferenceSession(str(ROOT / "test/zoo/fixtures" / name / "model.onnx"))
    pasts = [i for i in session.get_inputs() if i.name.startswith("past")]
    names = [o.name for o in session.get_outputs()]
    ids = [(i * 37 + 5) % 97 for i in range(tokens)]
    cache = {i.name: np.zeros([1 if not isinstance(d, int) else d for d in i.shape], np.float32) for i in pasts}
    for i in pasts:
        axis = next(a for a, d in enumerate(i.shape) if isinstance(d, str) and "past" in d)
        cache[i.name] = np.take(cache[i.name], [], axis=axis)
    held = 0

    def back(key: np.ndarray) -> np.ndarray:
        """A key turned one position back."""
        dims = int(rotary * key.shape[-1])
        angle = -(10000.0 ** (-np.arange(dims // 2) * 2 / dims))
        a, b = key[..., : dims // 2].astype(np.float64), key[..., dims // 2 : dims].astype(np.float64)
        turned = [a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle), key[..., dims:]]
        return np.concatenate(turned, -1).astype(np.float32)

    def step(token: int) -> torch.Tensor:
        nonlocal held
        if held == window:
            for key, value in cache.items():
                rest = value[:, :, sinks + 1 :]
                cache[key] = np.concatenate([value[:, :, :sinks], back(rest) if key.endswith("key") and rotary else rest], 2)
            held -= 1
        feeds = {"input_ids": [[token]], "attention_mask": [[1] * (held + 1)], "position_ids": [[held]]}
        own = {i.name: np.array(feeds[i.name], np.int64) for i in session.get_inputs() if i.name in feeds}
        given = dict(zip(names, session.run(None, {**own, **cache}), strict=True))
        for key in cache:
            cache[key] = given[key.replace("past_key_values", "present")]
        held += 1
        return torch.from_numpy(given["logits"][0, -1])

    return {"fixture": name, "ids": ids, "window": window, "sinks": sinks, "losses": losses_of(step, ids)}


def prefixed(name: str, prefix: list[int], window: int = 256, tokens: int = 1024, ratio: float = 64) -> dict:
    """Pieces of a text after some tokens: outlier tokens by PrefixQuant's rule, int8 errors and perplexity."""
    model = load(name)
    cut = torch.tensor(text_ids(BOATS, tokens)).unfold(0, window, window)
    fed = torch.cat([torch.tensor(prefix, dtype=torch.long).expand(len(cut), -1), cut], 1)
    points = record(model, fed)
    skip = len(prefix)
    outliers, errors, largest, first = [], [], 0.0, set()
    for block in range(model.config.layers):
        x = points[f"mlp.{block}"][:, skip:]
        peak = x.abs().amax(-1)
        ratios = peak / peak.median(-1, keepdim=True).values
        largest = max(largest, ratios.max().item())
        outliers.append((ratios > ratio).sum(-1).float().mean().item())
        first |= set((ratios[:, 0] > ratio).nonzero().flatten().tolist())
        each = []
        for piece in x:
            rest = piece.abs() < 100 * piece.abs().flatten().median()
            scale = piece.abs().max() / 127
            error = piece - (piece / scale).round() * scale
            each.append((error[rest].norm() / piece[rest].norm()).item())
        errors.append(sum(each) / len(each))
    logits = points["logits"][:, skip:-1].double()
    loss = torch.nn.functional.cross_entropy(logits.transpose(1, 2), cut[:, 1:])
    result = {"outliers": outliers, "first": len(first), "ratio": largest, "int8": errors}
    return {"model": name, "prefix": prefix, **result, "perplexity": loss.exp().item()}


def main() -> None:
    write(
        "test/references/streaming.json",
        {
            "window": WINDOW,
            "sinks": SINKS,
            "models": [demo(name) for name in MODELS],
            "prefix": [prefixed("llama-sink", []), prefixed("llama-sink", [1])],
            "fixtures": [fixture(name, rotary) for name, rotary in FIXTURES.items()],
        },
    )


if __name__ == "__main__":
    main()
