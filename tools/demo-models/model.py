"""The demo models' architecture: a small LLaMA-style decoder, written out so that every point of it can be tapped.

Matrices are stored in half precision and multiplied in single precision, in PyTorch and in the exported graph alike,
so both compute with the same numbers.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor, nn

# Called with every named point of the forward pass; what it returns takes the place of the tensor. The names:
# hidden.0 … hidden.L, resid_mid.k, normed.k (input of q, k, v), key.k, value.k, attn.k, heads.k, attn_out.k, mlp.k,
# mlp_out.k with k from 0 by block, and final (the final norm's output).
Tap = Callable[[str, Tensor], Tensor]

PREFIX = {"llama": 0, "llama-sink": 1}  # the token these models were always shown at position 0
MODELS = ("llama", "llama-plain", "llama-sink", "llama-bias")


def untouched(_name: str, tensor: Tensor) -> Tensor:
    return tensor


@dataclass(frozen=True)
class Config:
    layers: int
    dim: int
    heads: int
    hidden: int
    vocab: int
    positions: int | None  # entries of the learned position table, where the model has one
    key_value_bias: bool  # one learned key and value per head, before all others

    @property
    def head_dim(self) -> int:
        return self.dim // self.heads


class Matrix(nn.Module):
    """x [..., inputs] @ W [inputs, outputs], W in half precision."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs, dtype=torch.float16))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight.float()


class RMSNorm(nn.Module):
    def __init__(self, dim: int, eps: float = 1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotary(x: Tensor, half: int, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotates x [..., T, 2 · half] by tables [T, half]; the two halves of a head are the pairs."""
    a, b = x.split([half, half], dim=-1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin], dim=-1)


class Attention(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.heads, self.head_dim = config.heads, config.head_dim
        self.q = Matrix(config.dim, config.dim)
        self.k = Matrix(config.dim, config.dim)
        self.v = Matrix(config.dim, config.dim)
        self.proj = Matrix(config.dim, config.dim)
        if config.key_value_bias:
            self.k_bias = nn.Parameter(torch.empty(config.heads, 1, config.head_dim, dtype=torch.float16))
            self.v_bias = nn.Parameter(torch.empty(config.heads, 1, config.head_dim, dtype=torch.float16))
        else:
            self.k_bias = self.v_bias = None

    def split(self, x: Tensor) -> Tensor:
        """[batch, T, dim] to [batch, heads, T, head_dim]."""
        return x.reshape(x.shape[0], -1, self.heads, self.head_dim).transpose(1, 2)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, block: int, tap: Tap) -> Tensor:
        q, k, v = self.split(self.q(x)), self.split(self.k(x)), self.split(self.v(x))
        q, k = rotary(q, self.head_dim // 2, cos, sin), rotary(k, self.head_dim // 2, cos, sin)
        if self.k_bias is not None:
            k = torch.cat([self.k_bias.float().expand(x.shape[0], -1, -1, -1), k], dim=2)
            v = torch.cat([self.v_bias.float().expand(x.shape[0], -1, -1, -1), v], dim=2)
        k, v = tap(f"key.{block}", k), tap(f"value.{block}", v)
        pattern = torch.softmax(q @ k.transpose(-1, -2) * self.head_dim**-0.5 + mask, dim=-1)
        pattern = tap(f"attn.{block}", pattern)
        out = tap(f"heads.{block}", pattern @ v)
        return self.proj(out.transpose(1, 2).reshape(x.shape[0], -1, self.heads * self.head_dim))


class MLP(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.up = Matrix(config.dim, config.hidden)
        self.gate = Matrix(config.dim, config.hidden)
        self.down = Matrix(config.hidden, config.dim)

    def forward(self, x: Tensor, block: int, tap: Tap) -> Tensor:
        gate = self.gate(x)
        return self.down(tap(f"mlp.{block}", gate * torch.sigmoid(gate) * self.up(x)))


class Block(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.n1, self.attn = RMSNorm(config.dim), Attention(config)
        self.n2, self.mlp = RMSNorm(config.dim), MLP(config)

    def forward(self, h: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, block: int, tap: Tap) -> Tensor:
        normed = tap(f"normed.{block}", self.n1(h))
        h = h + tap(f"attn_out.{block}", self.attn(normed, cos, sin, mask, block, tap))
        h = tap(f"resid_mid.{block}", h)
        return h + tap(f"mlp_out.{block}", self.mlp(self.n2(h), block, tap))


class Decoder(nn.Module):
    def __init__(self, config: Config):
        super().__init__()
        self.config = config
        self.wte = nn.Parameter(torch.empty(config.vocab, config.dim, dtype=torch.float16))
        self.wpe = None
        if config.positions is not None:
            self.wpe = nn.Parameter(torch.empty(config.positions, config.dim, dtype=torch.float16))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = RMSNorm(config.dim)
        half = config.head_dim // 2
        self.register_buffer("frequencies", 10000.0 ** (-torch.arange(half, dtype=torch.float32) / half))

    def unembed(self, h: Tensor, tap: Tap = untouched) -> Tensor:
        return tap("final", self.norm(h)) @ self.wte.float().T

    def mask(self, positions: Tensor) -> Tensor:
        """[T, keys] of 0 where a query sees a key, -inf elsewhere."""
        keys = positions
        if self.config.key_value_bias:  # seen by every query, like a key at the first position
            keys = torch.cat([torch.zeros(1, dtype=positions.dtype), positions])
        return torch.where(keys[None, :] > positions[:, None], float("-inf"), 0.0)

    def forward(self, input_ids: Tensor) -> Tensor:
        """input_ids [batch, T] to logits [batch, T, vocab]."""
        return self.tapped(input_ids, untouched)

    def tapped(self, input_ids: Tensor, tap: Tap, mask: Tensor | None = None) -> Tensor:
        """The same with every point of the pass shown to `tap`, and with another `mask` where one is given."""
        positions = torch.arange(input_ids.shape[1], device=input_ids.device)
        angles = positions[:, None].float() * self.frequencies
        cos, sin = angles.cos(), angles.sin()
        if mask is None:
            mask = self.mask(positions)
        h = self.wte[input_ids].float()
        if self.wpe is not None:
            h = h + self.wpe[positions].float()
        h = tap("hidden.0", h)
        for k, block in enumerate(self.blocks):
            h = tap(f"hidden.{k + 1}", block(h, cos, sin, mask, k, tap))
        return self.unembed(h, tap)


def load(file: Path) -> tuple[Decoder, dict[str, str]]:
    """The model of a weights file of this project, and the file's metadata (training recipe, validation loss)."""
    with safe_open(file, framework="pt") as source:
        metadata = source.metadata()
        weights = {name: source.get_tensor(name) for name in source.keys()}
    recipe = json.loads(metadata["config"])
    config = Config(
        layers=recipe["layers"],
        dim=recipe["dim"],
        heads=recipe["heads"],
        hidden=recipe["hidden"],
        vocab=recipe["vocab"],
        positions=weights["wpe.weight"].shape[0] if "wpe.weight" in weights else None,
        key_value_bias="blocks.0.attn.k_bias" in weights,
    )
    state = {}
    for name, weight in weights.items():
        if name.endswith("attn.qkv.weight"):
            for part, matrix in zip("qkv", weight.chunk(3), strict=True):
                state[name.replace("qkv", part)] = matrix.T.contiguous()
        elif name in ("wte.weight", "wpe.weight"):
            state[name.removesuffix(".weight")] = weight
        elif name.endswith("_bias"):
            state[name] = weight[:, None, :]
        elif weight.ndim == 2:
            state[name] = weight.T.contiguous()
        else:
            state[name] = weight
    model = Decoder(config)
    model.load_state_dict({"frequencies": model.frequencies, **state})
    model.requires_grad_(False)
    return model.eval(), metadata
