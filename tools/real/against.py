"""A whole analysis of a text beside what people write by hand, as processes of their own that take turns:

    python tools/real/against.py FOLDER [--rounds 3]     where export.py FOLDER has put its files; after `npm run build`

The other side is Hugging Face's way: the same weights in transformers (eager attention), hidden states and attentions
of one pass, and of them the statistics that `analyze` gives. Prints the medians of wall time and peak memory, children
included, and their ratios. Linux.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
TEXT = ROOT / "media" / "sample.md"

BY_HAND = """
import sys
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

folder, text = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(folder)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
ids = tokenizer(open(text, encoding="utf-8").read(), return_tensors="pt")["input_ids"]
with torch.no_grad():
    out = model(input_ids=ids, output_hidden_states=True, output_attentions=True)
for k, hidden in enumerate(out.hidden_states):
    h = hidden[0].abs()
    top = torch.topk(h.flatten(), 16)
    largest = h.max(dim=1)
    print(k, top.values[0].item(), h.median().item(), top.values[0].item() / h.median().item(), largest.values.shape)
for k, attention in enumerate(out.attentions):
    T = attention.shape[-1]
    alpha = attention[0].sum(dim=1) / torch.arange(T, 0, -1)
    print(k, (alpha[:, 0] > 0.3).float().mean().item())
"""


def run(command: list[str]) -> tuple[float, float]:
    """Seconds by the clock, and MB at the peak of the largest process or, of two that live together, their sum."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=ROOT)
    peak = 0
    while child.poll() is None:
        peak = max(peak, sum(resident(pid) for pid in family(child.pid)))
        time.sleep(0.005)
    if child.returncode != 0:
        sys.exit(f"{command[0]} ended with code {child.returncode}")
    return time.perf_counter() - start, peak / 2**20


def family(pid: int) -> list[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in family(int(child)))]


def resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    model = options.folder.resolve() / "smollm2"
    sides = {
        "sinkscope": ["node", "dist/cli.js", "analyze", str(model / "model.onnx"), "--file", str(TEXT)],
        "by hand": [sys.executable, "-c", BY_HAND, str(model / "pytorch"), str(TEXT)],
    }
    measured: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for _ in range(options.rounds):
        for side, command in sides.items():
            measured[side].append(run(command))
    medians = {side: [statistics.median(each) for each in zip(*runs)] for side, runs in measured.items()}
    for side, (seconds, megabytes) in medians.items():
        print(f"{side}: {seconds:.2f} s, {megabytes:.0f} MB")
    ratios = [ours / theirs for ours, theirs in zip(*medians.values())]
    print(f"{ratios[0]:.2f} × the time, {ratios[1]:.2f} × the memory")


if __name__ == "__main__":
    main()
