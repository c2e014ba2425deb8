"""What Sinkscope says of SmolLM2-135M's inside against PyTorch, from the same weights:

    python tools/real/held.py FOLDER     where export.py FOLDER has put its files; after `npm run build`

Gradients of the loss, of a logit and of a massive activation by every hidden state (autograd); patching at every point
and its first look; ablation; steering. PyTorch's side is the model of transformers with hooks, in double precision.
Prints how far each is off, of the largest magnitude, and ends with 1 where one is by more than 1e-3.
"""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

ROOT = Path(__file__).parent.parent.parent
SAMPLE = ROOT / "media" / "sample.md"
PROMPTS = [
    "When Mary and John went to the store, John gave a drink to",
    "When Mary and John went to the store, Mary gave a drink to",
]
ANSWERS = [" Mary", " John"]
POSITIVE, NEGATIVE = (ROOT / "test" / "text" / "steer" / f"{side}.txt" for side in ("positive", "negative"))

worst = 0.0


def held(name: str, got, want) -> None:
    global worst
    got, want = (torch.as_tensor(each, dtype=torch.float64) for each in (got, want))
    if got.shape != want.shape:
        sys.exit(f"{name}: {list(got.shape)} beside PyTorch's {list(want.shape)}")
    off = ((got - want).abs().max() / want.abs().max()).item()
    worst = max(worst, off)
    print(f"{name}: off by {off:.1e} of the largest, {want.abs().max().item():.6g}")


def sinkscope(file: Path, experiment: str, *options: object) -> dict:
    command = ["node", "dist/cli.js", experiment, file, *options, "--json"]
    return json.loads(subprocess.run([str(each) for each in command], stdout=subprocess.PIPE, check=True, cwd=ROOT).stdout)


@contextmanager
def hooked(after, before=()):
    """Hooks, as pairs of a module and a function, on what modules give and on what they read."""
    handles = [module.register_forward_hook(hook) for module, hook in after]
    handles += [module.register_forward_pre_hook(hook) for module, hook in before]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def changed(change):
    """A hook, after a module or before it, by which `change` is made to a copy of what it gives or reads."""

    def hook(_module, inputs, out=None):
        tensor = (inputs[0] if out is None else out).clone()
        change(tensor)
        return tensor if out is not None else (tensor,)

    return hook


class Inside:
    """The model by the points of its residual stream. It has no prefix token."""

    def __init__(self, folder: Path) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
        self.model = model.eval()
        self.layers = self.model.model.layers
        size = self.layers[0].self_attn.head_dim
        # Where each head is in what the output projection reads.
        self.heads = [slice(size * i, size * (i + 1)) for i in range(self.model.config.num_attention_heads)]
        # What gives h_k, and what attention and MLP of each block add.
        self.points = {
            "resid_post": [self.model.model.embed_tokens, *self.layers],
            "attn_out": [layer.self_attn.o_proj for layer in self.layers],
            "mlp_out": [layer.mlp for layer in self.layers],
        }

    def ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def logits(self, ids: list[int], after=(), before=(), rows=1) -> torch.Tensor:
        """[rows, T, vocabulary] of as many runs of the same ids, in which hooks may change what they like."""
        with hooked(after, before):
            return self.model(input_ids=torch.tensor([ids] * rows), use_cache=False).logits

    def given(self, ids: list[int], modules, number=None) -> tuple[list[torch.Tensor], torch.Tensor]:
        """What modules give [T, D], and the logits; with `number`, a function of both, its derivatives are in `grad`."""
        found = []

        def keep(_module, _inputs, out):
            if number is not None:
                out.retain_grad()
            found.append(out)

        with torch.set_grad_enabled(number is not None):
            logits = self.logits(ids, [(module, keep) for module in modules])
            if number is not None:
                self.model.zero_grad()
                number([each[0] for each in found], logits[0]).backward()
        return [each.detach() if number is None else each for each in found], logits[0]


def loss(logits: torch.Tensor, ids: list[int]) -> torch.Tensor:
    """Mean of -ln p over all tokens but the first."""
    return torch.nn.functional.cross_entropy(logits[:-1], torch.tensor(ids[1:]))


def gradients(inside: Inside, file: Path) -> None:
    numbers = {
        "loss": lambda ids: lambda _h, logits: loss(logits, ids),
        "logit:42@2": lambda _: lambda _h, logits: logits[2, 42],
        "h:12,0,507": lambda _: lambda h, _logits: h[12][0, 507],
        "h:12,1,507": lambda _: lambda h, _logits: h[12][1, 507],
    }
    for of, number in numbers.items():
        told = sinkscope(file, "gradients", "--file", SAMPLE, "--of", of)
        ids = [token["id"] for token in told["tokens"]]
        value = number(ids)
        found, logits = inside.given(ids, inside.points["resid_post"], value)
        want = value([each[0] for each in found], logits).item()
        held(f"gradients --of {of}", told["loss" if of == "loss" else "value"], want)
        norms = [k for k, row in enumerate(told["norm"]) if row is not None]
        lengths = torch.stack([found[k].grad[0].norm(dim=-1) for k in norms])
        held("  length of the derivatives", [told["norm"][k] for k in norms], lengths)
        if told["entries"]:
            weights = [module.weight for module in inside.layers.modules() if isinstance(module, torch.nn.Linear)]
            products = torch.cat([(each * each.grad).detach().flatten() for each in weights if each.grad is not None])
            most = products.abs().topk(len(told["entries"])).indices
            held("  the largest weight × derivative", [each["product"] for each in told["entries"]], products[most])


def patching(inside: Inside, file: Path) -> None:
    clean, corrupt = (inside.ids(prompt) for prompt in PROMPTS)
    first, second = (inside.ids(answer)[0] for answer in ANSWERS)
    tokens = range(next(t for t, (one, other) in enumerate(zip(clean, corrupt)) if one != other), len(clean))

    def difference(logits: torch.Tensor) -> torch.Tensor:
        return logits[-1, first] - logits[-1, second]

    def differences(rows=1, **hooks) -> torch.Tensor:
        with torch.no_grad():
            logits = inside.logits(corrupt, rows=rows, **hooks)[:, -1]
        return logits[:, first] - logits[:, second]

    ends = [difference(inside.given(ids, [])[1]).item() for ids in (clean, corrupt)]
    share = lambda found: (found - ends[1]) / (ends[0] - ends[1])
    asked = ["--clean", PROMPTS[0], "--corrupt", PROMPTS[1], "--answers", *ANSWERS]
    for at, modules in inside.points.items():
        told = sinkscope(file, "patch", *asked, "--at", at)
        held(f"patch --at {at}: differences", [told["clean_difference"], told["corrupt_difference"]], ends)
        there, _ = inside.given(clean, modules)
        here, _ = inside.given(corrupt, modules, lambda _h, logits: difference(logits))
        found = torch.full((len(modules), len(clean)), ends[1], dtype=torch.float64)
        look = torch.zeros_like(found)
        for i, module in enumerate(modules):

            def patch(out, i=i):
                for row, t in enumerate(tokens):
                    out[row, t] = there[i][0, t]

            found[i, tokens] = differences(len(tokens), after=[(module, changed(patch))])
            look[i] = ((there[i] - here[i]) * here[i].grad)[0].sum(-1).detach()
        held("  first look", told["attribution"], look / (ends[0] - ends[1]))
        held("  recovered", told["recovered"], share(found))

    told = sinkscope(file, "patch", *asked, "--at", "head")
    read = []
    keep = [(module, lambda _module, inputs: read.append(inputs[0])) for module in inside.points["attn_out"]]
    with torch.no_grad():
        inside.logits(clean, before=keep)
    found = []
    for z, module in zip(read, inside.points["attn_out"]):

        def patch(rows, z=z):
            for head, dims in enumerate(inside.heads):
                rows[head, :, dims] = z[0, :, dims]

        found.append(differences(len(inside.heads), before=[(module, changed(patch))]))
    held("patch --at head: recovered", told["recovered"], share(torch.stack(found)))


def ablation(inside: Inside, file: Path) -> None:
    told = sinkscope(file, "ablate", "--text", PROMPTS[0])
    ids = inside.ids(PROMPTS[0])
    heads, mlps = [], []

    def silent(rows):
        for head, dims in enumerate(inside.heads):
            rows[head, :, dims] = 0

    with torch.no_grad():
        held("ablate: loss", [told["as_is"]["loss"]], [loss(inside.logits(ids)[0], ids)])
        for attention, mlp in zip(inside.points["attn_out"], inside.points["mlp_out"]):
            runs = inside.logits(ids, before=[(attention, changed(silent))], rows=len(inside.heads))
            heads += [loss(logits, ids) for logits in runs]
            mlps.append(loss(inside.logits(ids, [(mlp, changed(torch.Tensor.zero_))])[0], ids))
    held("  without each head", [each["loss"] for each in told["heads"]], heads)
    held("  without each MLP", [each["loss"] for each in told["mlps"]], mlps)


def steering(inside: Inside, file: Path, layer=15, strength=1.5) -> None:
    text = "It was a bright cold day in April"
    asked = ["--text", text, "--positive", POSITIVE, "--negative", NEGATIVE, "--layer", layer, "--strength", strength]
    told = sinkscope(file, "steer", *asked)
    module = inside.points["resid_post"][layer]

    def mean(prompts: Path) -> torch.Tensor:
        lines = [line for line in prompts.read_text().splitlines() if line]
        return torch.stack([inside.given(inside.ids(line), [module])[0][0][0, -1] for line in lines]).mean(0)

    direction = mean(POSITIVE) - mean(NEGATIVE)
    held("steer: direction", told["direction"]["values"], direction)
    ids = inside.ids(text)
    steer = (module, changed(lambda out: out.add_(strength * direction)))
    with torch.no_grad():
        losses = [loss(inside.logits(ids, hooks)[0], ids) for hooks in ([], [steer])]
    held("  loss as it is and steered", [told["as_is"]["loss"], told["steered"]["loss"]], losses)


def main(folder: Path) -> None:
    inside = Inside(folder / "smollm2" / "pytorch")
    for check in (gradients, patching, ablation, steering):
        check(inside, folder / "smollm2" / "model.onnx")
    sys.exit(1 if worst > 1e-3 else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
