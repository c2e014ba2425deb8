"""Writes test/references/streaming.json: sequences through a rolling cache as in StreamingLLM (arXiv:2309.17453).

Token by token, nothing but the cache being remembered. The demo models by PyTorch, with keys kept from before their
rotary positions; cached fixtures by ONNX Runtime, with the keys that they give turned on by what they move in the cache.
"""

import math

import numpy as np
import onnxruntime
import torch
from reference import MODELS, ROOT, Decoder, load, prefix_of, text_ids, write

BOATS = "test/text/three-men-in-a-boat.md"
WINDOW, SINKS = 48, 4


def rounded(row: torch.Tensor, bits: int) -> torch.Tensor:
    """Each last axis to 2^bits values from its least to its greatest entry."""
    low, high = row.amin(-1, keepdim=True), row.amax(-1, keepdim=True)
    scale = (high - low) / (2**bits - 1)
    return torch.where(scale > 0, low + ((row - low) / scale).round() * scale, row)


class Rolling:
    """One step of a demo model at a time; `window` keys in all, the first `sinks` of them never dropped."""

    def __init__(self, model: Decoder, window: int, sinks: int, bits: int | None = None, kept: int = 0):
        self.model, self.window, self.sinks, self.bits, self.kept = model, window, sinks, bits, kept
        self.cache: list[list[tuple[torch.Tensor, torch.Tensor]]] = [[] for _ in model.blocks]
        self.seen = 0

    def store(self, row: torch.Tensor) -> torch.Tensor:
        return row if self.bits is None or self.seen < self.kept else rounded(row, self.bits)

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
        for block, cache in zip(m.blocks, self.cache, strict=True):
            attn, x = block.attn, block.n1(h)
            heads = lambda y: y.reshape(attn.heads, attn.head_dim)  # noqa: E731
            q, k, v = heads(attn.q(x)), heads(attn.k(x)), heads(attn.v(x))
            if len(cache) == self.window:
                del cache[self.sinks]
            cache.append((self.store(k), self.store(v)))
            places = torch.arange(len(cache))
            keys = self.turned(torch.stack([k for k, _ in cache], 1), places)
            values = torch.stack([v for _, v in cache], 1)
            if attn.k_bias is not None:
                keys = torch.cat([attn.k_bias.float(), keys], 1)
                values = torch.cat([attn.v_bias.float(), values], 1)
            query = self.turned(q[:, None], torch.tensor([len(cache) - 1]))
            weights = (query @ keys.transpose(1, 2) / math.sqrt(attn.head_dim)).softmax(-1)
            h = h + attn.proj((weights @ values).flatten())
            h = h + block.mlp(block.n2(h), 0, lambda _, t: t)
        self.seen += 1
        return m.unembed(h)


def losses_of(step, ids: list[int]) -> list[float]:
    found = []
    for token, following in zip(ids, ids[1:], strict=False):
        found.append(-step(token).double().log_softmax(-1)[following].item())
    return found


def demo(name: str, tokens: int = 540) -> dict:
    model = load(name).float()  # else every step converts every matrix
    ids = (prefix_of(name) + text_ids(BOATS, tokens))[:tokens]
    ways = {
        "rolling": Rolling(model, WINDOW, SINKS),
        "int4": Rolling(model, WINDOW, SINKS, 4),
        "int4 but sinks": Rolling(model, WINDOW, SINKS, 4, SINKS),
    }
    result = {key: losses_of(way.step, ids) for key, way in ways.items()}
    # Learned positions end with the context: the rest is compared as far as they go.
    short = ids[: min(tokens, 512)] if model.wpe is not None else ids
    place = torch.arange(len(short))
    query, key = place[:, None], place[None]
    for kind, seen in (
        ("all", key <= query),
        ("sequence", (key <= query) & ((key > query - (WINDOW - SINKS)) | (key < SINKS))),
    ):
        extra = torch.ones(len(short), int(model.config.key_value_bias), dtype=torch.bool)
        mask = torch.where(torch.cat([extra, seen], 1), 0.0, float("-inf"))
        logits = model.tapped(torch.tensor([short]), lambda _, t: t, mask)[0, :-1].double()
        result[kind] = torch.nn.functional.cross_entropy(logits, torch.tensor(short[1:]), reduction="none").tolist()
    mean = {key: sum(value) / len(value) for key, value in result.items()}
    return {"model": name, "tokens": tokens, "mean": mean, "last": {k: v[-8:] for k, v in result.items()}}


# The rotary dims of each, of which halves are pairs; none where positions are not rotary.
FIXTURES = {
    "gpt2-optimum-past": 0,
    "opt-optimum-past": 0,
    "bloom-optimum-past": 0,
    "llama-optimum-past": 1.0,
    "gpt_neox-optimum-past": 0.25,
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
                cache[key] = np.concatenate([value[:, :, :sinks], back(rest) if "key" in key and rotary else rest], 2)
            held -= 1
        feeds = {"input_ids": [[token]], "attention_mask": [[1] * (held + 1)], "position_ids": [[held]]}
        own = {i.name: np.array(feeds[i.name], np.int64) for i in session.get_inputs() if i.name in feeds}
        given = dict(zip(names, session.run(None, {**own, **cache}), strict=True))
        for key in cache:
            cache[key] = given[key.replace("past_key_values", "present")]
        held += 1
        return torch.from_numpy(given["logits"][0, -1])

    return {"fixture": name, "ids": ids, "window": window, "sinks": sinks, "losses": losses_of(step, ids)}


def main() -> None:
    write(
        "test/references/streaming.json",
        {
            "window": WINDOW,
            "sinks": SINKS,
            "models": [demo(name) for name in MODELS],
            "fixtures": [fixture(name, rotary) for name, rotary in FIXTURES.items()],
        },
    )


if __name__ == "__main__":
    main()
