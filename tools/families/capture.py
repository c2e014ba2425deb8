"""Reference tensors of a PyTorch model, recorded by hooks under the names of the fixtures' golden.safetensors."""

from __future__ import annotations

import contextlib

import torch


class Capture:
    """Records the residual stream, attention probabilities and MLP intermediates of one forward pass.

    blocks: the modules that the residual stream passes, in order; a module may stand there several times.
    mid: (submodule of a block, 'in' or 'out'): what it reads or gives is the stream between attention and MLP.
    down: submodule of a block whose input is the MLP intermediate.
    pattern: submodule of a block that gives the attention probabilities; else every softmax over keys is taken.
    """

    def __init__(self, blocks, mid=None, down=None, pattern=None):
        self.blocks, self.mid, self.down, self.pattern = list(blocks), mid, down, pattern
        self.tensors: dict[str, torch.Tensor] = {}
        self.counts = {"hidden": 0, "resid_mid": 0, "mlp": 0, "attn": 0}

    def __call__(self, model, inputs: dict):
        """The golden tensors, and what the model gives."""
        with contextlib.ExitStack() as stack, torch.no_grad():
            for block in dict.fromkeys(self.blocks):
                stack.enter_context(hooked(block.register_forward_pre_hook(self._enter, with_kwargs=True)))
                stack.enter_context(hooked(block.register_forward_hook(self._leave)))
                if self.mid:
                    module, side = block.get_submodule(self.mid[0]), self.mid[1]
                    hook = (
                        module.register_forward_pre_hook(self._mid_in, with_kwargs=True)
                        if side == "in"
                        else module.register_forward_hook(self._mid_out)
                    )
                    stack.enter_context(hooked(hook))
                if self.down and has(block, self.down):
                    stack.enter_context(hooked(block.get_submodule(self.down).register_forward_pre_hook(self._mlp)))
                if self.pattern:
                    hook = block.get_submodule(self.pattern).register_forward_hook(self._pattern)
                    stack.enter_context(hooked(hook))
            if not self.pattern:
                stack.enter_context(self._softmax())
            output = model(**inputs)
        return self.tensors, output

    def record(self, kind: str, value: torch.Tensor, index: int | None = None):
        if index is None:
            index = self.counts[kind]
            self.counts[kind] += 1
        # A decoder's attention to its encoder comes after that to its own tokens.
        self.tensors.setdefault(f"{kind}.{index}", squeezed(value, 3 if kind in ("attn", "cross") else 2))

    def _enter(self, _module, args, kwargs):
        value = args[0] if args else kwargs["hidden_states"]
        if self.counts["hidden"] == 0:
            self.record("hidden", value)

    def _leave(self, _module, _args, output):
        self.record("hidden", output if torch.is_tensor(output) else output[0])

    def _mid_in(self, _module, args, kwargs):
        self.record("resid_mid", args[0] if args else next(iter(kwargs.values())), self.counts["hidden"] - 1)

    def _mid_out(self, _module, _args, output):
        self.record("resid_mid", output, self.counts["hidden"] - 1)

    def _mlp(self, _module, args):
        self.record("mlp", args[0], self.counts["hidden"] - 1)

    def _pattern(self, _module, _args, output):
        self.record("attn", output, self.counts["hidden"] - 1)

    @contextlib.contextmanager
    def _softmax(self):
        """Every softmax whose rows are tokens and whose columns are keys is an attention pattern."""
        originals = [(torch.nn.functional, "softmax"), (torch, "softmax"), (torch.Tensor, "softmax")]
        saved = [(owner, name, getattr(owner, name)) for owner, name in originals]

        def wrapped(original):
            def softmax(*args, **kwargs):
                result = original(*args, **kwargs)
                tokens = self.tensors.get("hidden.0")
                if tokens is not None and result.dim() >= 3 and result.shape[-2] == tokens.shape[0] <= result.shape[-1]:
                    self.record("attn", result, self.counts["hidden"] - 1)
                return result

            return softmax

        for owner, name, original in saved:
            setattr(owner, name, wrapped(original))
        try:
            yield
        finally:
            for owner, name, original in saved:
                setattr(owner, name, original)


def has(module, path: str) -> bool:
    try:
        module.get_submodule(path)
        return True
    except AttributeError:
        return False


@contextlib.contextmanager
def hooked(handle):
    try:
        yield
    finally:
        handle.remove()


def squeezed(value: torch.Tensor, rank: int) -> torch.Tensor:
    """float32 without the batch axis, as [.., rows, columns] of `rank` axes."""
    value = value.detach().float()
    if rank == 3:
        return value.reshape(-1, *value.shape[-2:]).contiguous().clone()
    return value.reshape(-1, value.shape[-1]).contiguous().clone()


def randomise(model: torch.nn.Module, seed: int = 0):
    """Weights large enough that every branch counts: a fresh model's are so small that nothing would be tested."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if "A_log" in name or "dt_" in name or "time_" in name:
                continue
            if parameter.dim() <= 1:
                is_gain = parameter.numel() > 1 and torch.allclose(parameter.float(), torch.ones(())) 
                parameter.copy_(1 + 0.2 * noise if is_gain else 0.2 * noise)
            else:
                fan_in = parameter[0].numel() if parameter.dim() > 2 else min(parameter.shape)
                parameter.copy_(noise * (0.8 / fan_in**0.5))
