"""Perplexity of a text by fixed windows, with taps for interventions. The protocol is in test/references/README.md."""

from dataclasses import dataclass

import torch
from reference import Decoder, Tap, prefix_of, text_ids

BATCH = 8


@dataclass(frozen=True)
class Protocol:
    file: str
    tokens: int
    window: int = 256
    stride: int | None = None
    as_is: bool = False
    """Whether CR LF and CR are read as LF, as Python and the command line's default read a text."""


def pieces(ids: list[int], length: int, stride: int) -> torch.Tensor:
    """[pieces, length]: complete pieces of `ids` that begin at 0, stride, 2 · stride, …"""
    return torch.tensor(ids).unfold(0, length, stride)


def windows(name: str, protocol: Protocol) -> tuple[torch.Tensor, int]:
    """What is fed, [windows, window], and how many last tokens of each are scored."""
    prefix = prefix_of(name)
    length = protocol.window - len(prefix)
    stride = min(protocol.stride or length, length)
    cut = pieces(text_ids(protocol.file, protocol.tokens, protocol.as_is), length, stride)
    fed = torch.cat([torch.tensor(prefix, dtype=torch.long).expand(len(cut), -1), cut], dim=1)
    return fed, min(stride, protocol.window - 1)


def losses(model: Decoder, fed: torch.Tensor, scored: int, tap: Tap = lambda _, x: x, mask=None) -> torch.Tensor:
    """−log p of the last `scored` tokens of each window, [windows, scored]."""
    found = []
    for batch in fed.split(BATCH):
        # In single precision PyTorch's log_softmax over 8,192 logits is 1.5e-5 too small throughout.
        logits = model.tapped(batch, tap, mask)[:, -scored - 1 : -1].double()
        found.append(torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch[:, -scored:], reduction="none"))
    return torch.cat(found)


def perplexity(loss: torch.Tensor) -> float:
    return loss.double().mean().exp().item()


def measure(model: Decoder, name: str, protocol: Protocol) -> dict:
    fed, scored = windows(name, protocol)
    loss = losses(model, fed, scored).double()
    return {
        "model": name,
        "file": protocol.file,
        "maxTokens": protocol.tokens,
        "window": protocol.window,
        "stride": min(protocol.stride or protocol.window, protocol.window - len(prefix_of(name))),
        "prefix": (prefix_of(name) or [None])[0],
        "windows": len(fed),
        "tokens": loss.numel(),
        "perplexity": perplexity(loss),
        "lossMean": loss.mean().item(),
        "lossDeviation": loss.std().item(),
    }
