"""Where two runs of one model first differ: files of tensors as `sinkscope analyze --save` writes them, point by point.

    python tools/divergence.py reference.safetensors saved.safetensors [--tolerance 1e-4]

Points in the order in which a pass computes them; of each the largest difference over the reference's largest
magnitude, and how many times that is the point before's. Ends with code 1 where a point is beyond the tolerance.
"""

from __future__ import annotations

import argparse
import re
import sys

import numpy as np
from safetensors.numpy import load_file

# Within block k, after hidden.k, and what each is computed by from the point before.
ORDER = {
    "attn": "the norm before attention, its queries and keys, rotation, mask and softmax",
    "resid_mid": "the attention's values and output projection, and the first residual addition",
    "mlp": "the norm before the MLP, its first products and its activation",
    "hidden": "the MLP's last product, and the residual addition after it",
}
EMBEDDING = "the token embedding, and what is done to it before the first block"
HEAD = "the final norm and the unembedding"


def place(name: str) -> tuple[int, int]:
    """Where in a pass a point lies: its block, and its place there."""
    if name == "logits":
        return sys.maxsize, 0
    kind, index = name.split(".")
    # hidden.k is what block k - 1 leaves.
    return (int(index) - 1, 3) if kind == "hidden" else (int(index), list(ORDER).index(kind))


def computed_by(name: str, before: str | None) -> list[str]:
    """What lies between a point and the last one before it that both files have."""
    if name == "logits":
        return [HEAD]
    if name == "hidden.0":
        return [EMBEDDING]
    kinds = list(ORDER)
    block, last = place(name)
    start, after = place(before) if before else (-1, 3)
    return [ORDER[kinds[i]] for i in range(after + 1 if start == block else 0, last + 1)]


def points(file: str) -> dict[str, np.ndarray]:
    """The points of a file, without axes of length 1 before the last two."""
    found = {}
    for name, tensor in load_file(file).items():
        if name == "logits" or re.fullmatch(rf"({'|'.join(ORDER)})\.\d+", name):
            tensor = tensor.astype(np.float64)
            while tensor.ndim > 2 and tensor.shape[0] == 1 and not name.startswith("attn"):
                tensor = tensor[0]
            found[name] = tensor
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reference")
    parser.add_argument("saved")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    given = parser.parse_args()
    reference, saved = points(given.reference), points(given.saved)
    common = sorted(reference.keys() & saved.keys(), key=place)
    if not common:
        print("The files have no point in common.")
        return 1

    first = None
    before = None
    for name in common:
        a, b = reference[name], saved[name]
        if a.shape != b.shape:
            print(f"{name:<14}[{', '.join(map(str, a.shape))}] and [{', '.join(map(str, b.shape))}]")
            first = first or name
            continue
        difference = np.abs(a - b)
        error = float(np.nan_to_num(difference, nan=np.inf).max() / (np.abs(a).max() or 1))
        growth = f"{error / before:8.1f} ×" if before else ""
        print(f"{name:<14}{error:8.1e} {growth}".rstrip())
        before = error
        if first is None and not error <= given.tolerance:
            first = name

    lacking = sorted(reference.keys() ^ saved.keys(), key=place)
    if lacking:
        print(f"In one file only: {', '.join(lacking)}.")
    if first is None:
        print(f"No point differs by more than {given.tolerance:g} of its largest magnitude.")
        return 0
    start = common[common.index(first) - 1] if first != common[0] else None
    print(f"\nThe first to differ is {first}. Between {start or 'the input'} and it lie:")
    for part in computed_by(first, start):
        print(f"- {part}")
    a, b = reference[first], saved[first]
    if a.shape != b.shape:
        print("The runs are of different lengths: compare the token ids first.")
        return 1
    difference = np.nan_to_num(np.abs(a - b), nan=np.inf)
    where = np.unravel_index(difference.argmax(), a.shape)
    axes = ("head", "query", "key") if first.startswith("attn") else ("token", "dim")
    named = ", ".join(f"{axis} {index}" for axis, index in zip(axes, where, strict=True))
    beyond = difference > given.tolerance * np.abs(a).max()
    rows = np.flatnonzero(beyond.any(axis=-1).reshape(-1, a.shape[-2]).any(axis=0))
    print(f"Largest at {named}: {b[where]:.6g} instead of {a[where]:.6g}.")
    print(f"Beyond the tolerance at {len(rows)} of {a.shape[-2]} tokens: {ranges(rows)}.")
    return 1


def ranges(rows: np.ndarray) -> str:
    """0–3, 7, as people write it."""
    runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
    return ", ".join(f"{run[0]}" if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


if __name__ == "__main__":
    sys.exit(main())
