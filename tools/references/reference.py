"""What the reference scripts share: the demo models in PyTorch, with the weights of the files in media/models/."""

import json
import sys
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from tokenizers import Tokenizer

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools/demo-models"))

from model import MODELS, Config, Decoder, Tap  # noqa: E402

__all__ = [
    "MODELS",
    "ROOT",
    "Decoder",
    "Tap",
    "load",
    "prefix_of",
    "record",
    "round_floats",
    "text_ids",
    "with_line_feeds",
    "write",
]

torch.set_num_threads(1)
torch.set_grad_enabled(False)


def settings(name: str) -> dict:
    return json.loads((ROOT / "media/models" / name / "config.json").read_text())


def load(name: str) -> Decoder:
    c = settings(name)
    model = Decoder(
        Config(
            layers=c["num_hidden_layers"],
            dim=c["hidden_size"],
            heads=c["num_attention_heads"],
            hidden=c["intermediate_size"],
            vocab=c["vocab_size"],
            positions=c["learned_position_embeddings"],
            key_value_bias=c["key_value_bias"],
        )
    )
    graph = onnx.load(ROOT / "media/models" / name / "model.onnx").graph
    state = {i.name: torch.from_numpy(numpy_helper.to_array(i).copy()) for i in graph.initializer}
    model.load_state_dict({key: state[key] for key in model.state_dict()})
    return model.eval()


def prefix_of(name: str) -> list[int]:
    """The token put before every text, for models that have one."""
    bos = settings(name)["bos_token_id"]
    return [] if bos is None else [bos]


def with_line_feeds(text: str) -> str:
    """As Python reads a file, and models are trained."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_ids(file: str, tokens: int | None = None, as_is: bool = False) -> list[int]:
    """The first token ids of a text of this repository, without any prefix. One tokenizer serves all demo models."""
    tokenizer = Tokenizer.from_file(str(ROOT / "media/models/llama/tokenizer.json"))
    text = (ROOT / file).read_bytes().decode()
    return tokenizer.encode(text if as_is else with_line_feeds(text)).ids[:tokens]


def record(
    model: Decoder, ids: list[int] | torch.Tensor, tap: Tap = lambda _, tensor: tensor
) -> dict[str, torch.Tensor]:
    """Every point of the pass over `ids` ([T] or [batch, T]), after `tap`, and `logits`; no batch axis for [T]."""
    points: dict[str, torch.Tensor] = {}

    def keep(name: str, tensor: torch.Tensor) -> torch.Tensor:
        points[name] = tap(name, tensor)
        return points[name]

    fed = torch.as_tensor(ids)
    points["logits"] = model.tapped(fed if fed.ndim == 2 else fed[None], keep)
    return {name: tensor[0] if fed.ndim == 1 else tensor for name, tensor in points.items()}


def round_floats(value: object, digits: int = 7) -> object:
    """Floats to `digits` significant figures, as far down as lists and dictionaries go."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, dict):
        return {key: round_floats(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [round_floats(item, digits) for item in value]
    return value


def write(file: str, content: dict) -> None:
    """JSON with lists of plain values on one line."""
    (ROOT / file).write_text(pretty(round_floats(content)) + "\n")
    print(f"{file}: {(ROOT / file).stat().st_size / 1e3:.0f} KB")


def pretty(value: object, indent: str = "") -> str:
    plain = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(plain) + len(indent) <= 110 or not any_nested(value):
        return plain
    deeper = indent + " "
    if isinstance(value, dict):
        lines = [f"{deeper}{json.dumps(str(key))}: {pretty(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(deeper + pretty(item, deeper) for item in value) + f"\n{indent}]"


def any_nested(value: dict | list) -> bool:
    return any(isinstance(item, dict | list) for item in (value.values() if isinstance(value, dict) else value))
