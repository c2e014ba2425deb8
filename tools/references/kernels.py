"""References for test/pure/statistics, by NumPy and PyTorch.

Writes test/pure/statistics/goldens.safetensors. Needs torch, numpy and safetensors:

    python tools/references/kernels.py
"""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

OUT = Path(__file__).parents[2] / "test/pure/statistics/goldens.safetensors"
out: dict[str, torch.Tensor] = {}


def put(name: str, value) -> None:
    out[name] = torch.as_tensor(value).contiguous().clone()


def hidden(case: str, h: torch.Tensor) -> None:
    finite = torch.isfinite(h)
    magnitude = torch.where(finite, h, torch.tensor(0.0)).abs()
    flat = h[finite].abs()
    order = np.argsort(-np.where(finite, h.abs(), -1).reshape(-1), kind="stable")[: min(16, len(flat))].copy()
    put(f"{case}.values", h)
    put(f"{case}.median", torch.median(flat).reshape(1))
    put(f"{case}.top", h.reshape(-1)[order])
    put(f"{case}.top_index", order.astype(np.int32))
    put(f"{case}.token_norm", magnitude.double().norm(dim=1).float())
    put(f"{case}.token_max", magnitude.max(dim=1).values)
    put(f"{case}.token_max_dim", magnitude.max(dim=1).indices.int())
    put(f"{case}.dim_max", magnitude.max(dim=0).values)
    put(f"{case}.non_finite", torch.tensor([(~finite).sum()], dtype=torch.int32))


def pattern(case: str, a: torch.Tensor, first: int, causal: bool) -> None:
    """`first`: index of the first token's column."""
    heads, tokens, keys = a.shape
    own = a[:, :, first : first + tokens].double()
    rows = torch.arange(tokens)
    alpha = torch.stack(
        [own[:, k if causal else 0 :, k].mean(dim=1) for k in rows.tolist()], dim=1
    )
    rest = torch.cat([a[:, :, :first], a[:, :, first + tokens :]], dim=2).double()
    put(f"{case}.values", a)
    put(f"{case}.alpha", alpha.float())
    put(f"{case}.extra", rest.sum(dim=2).mean(dim=1).float())


def pooled(case: str, h: torch.Tensor, rows: int, columns: int) -> None:
    """`rows`, `columns`: entries of a cell along each axis."""
    x = h.numpy()
    edges = [np.arange(0, x.shape[axis], step) for axis, step in enumerate((rows, columns))]
    largest = np.maximum.reduceat(np.maximum.reduceat(np.abs(x), edges[0], axis=0), edges[1], axis=1)
    places = np.array(
        [
            [
                (r + i) * x.shape[1] + c + j
                for c in edges[1]
                for cell in [np.abs(x[r : r + rows, c : c + columns])]
                for i, j in [np.unravel_index(np.argmax(cell), cell.shape)]
            ]
            for r in edges[0]
        ]
    )
    put(f"pooled.{case}.largest", largest)
    put(f"pooled.{case}.places", places.astype(np.int32))


def main() -> None:
    torch.manual_seed(0)
    wide = torch.randn(37, 96) * torch.exp(2 * torch.randn(37, 96))
    wide[0, 17], wide[0, 80], wide[21, 17] = 2084.0, -309.5, -1500.25
    wide[5, 5] = wide[5, 9] = -wide[3, 90].abs() - 400  # equal magnitudes: the earlier one comes first
    wide[9, 1] = 400 + wide[3, 90].abs()
    hidden("even", wide)  # 37 × 96 elements: the lower of two middle ones
    hidden("odd", wide[:, :95][:35].contiguous())
    broken = wide.clone()
    broken[2, 3], broken[2, 4], broken[30, 95] = float("nan"), float("inf"), float("-inf")
    broken[12] = float("nan")
    hidden("broken", broken)
    hidden("small", torch.tensor([[0.0, -0.0, 3e-42], [-1.5, 1.5, 0.5]]))  # fewer than 16, a subnormal, signed zero
    pooled("cells", wide, 4, 7)  # 37 rows in ten cells, of which the last has one; 96 columns in fourteen, the last of five
    pooled("broken", broken, 4, 7)
    pooled("one", broken, 37, 96)

    scores = 2 * torch.randn(3, 9, 9)
    triangle = torch.full((9, 9), float("-inf")).triu(1)
    pattern("causal", torch.softmax(scores + triangle, dim=-1), 0, True)
    pattern("bidirectional", torch.softmax(scores, dim=-1), 0, False)
    beside = torch.randn(3, 9, 1)
    pattern("first", torch.softmax(torch.cat([beside, scores + triangle], dim=2), dim=-1), 1, True)
    pattern("last", torch.softmax(torch.cat([scores + triangle, beside], dim=2), dim=-1), 0, True)
    two = torch.randn(3, 9, 2)
    pattern("two_last", torch.softmax(torch.cat([scores + triangle, two], dim=2), dim=-1), 0, True)

    bits = torch.arange(0, 1 << 16, 13, dtype=torch.int32).to(torch.uint16)
    bits = torch.cat([bits, torch.tensor([0x7C00, 0xFC00, 0x7E00, 0x0001, 0x8000, 0x7BFF], dtype=torch.int32).to(torch.uint16)])
    put("half.f16", bits.view(torch.float16))
    put("half.f16_as_f32", bits.view(torch.float16).float())
    put("half.bf16", bits.view(torch.bfloat16))
    put("half.bf16_as_f32", bits.view(torch.bfloat16).float())

    put("type.i64", torch.tensor([[1, -2, 2**53 + 1], [0, 7, -(2**60)]], dtype=torch.int64))
    put("type.i32", torch.tensor([3, -4], dtype=torch.int32))
    put("type.bool", torch.tensor([True, False, True]))
    put("type.f64", torch.tensor([0.1, -1e300], dtype=torch.float64))
    put("type.scalar", torch.tensor(2.5))
    put("type.empty", torch.zeros(0, 4))

    save_file(out, OUT)
    print(f"{OUT.name}: {len(out)} tensors, {OUT.stat().st_size} bytes")


if __name__ == "__main__":
    main()
