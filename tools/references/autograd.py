"""An ONNX graph run by PyTorch, operator by operator, in double precision, so that autograd gives its gradients.

    python tools/references/autograd.py test/references/autograd.json FOLDER...      # fixtures of the zoo or the families

writes for every fixture L (the mean of -ln p of all tokens but the first, or the sum of
squares of the output where there is no head over a vocabulary) and, of dL/dh_k, L2 norms by token and the sums of
entries times cos(1), cos(2), ... . Rounding to integers is passed straight through, within its limits. Where h_k is in a file is told by its values, which the golden has.
"""

import itertools
import json
import math
import sys
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from safetensors import safe_open

ROOT = Path(__file__).resolve().parents[2]
torch.set_num_threads(1)
D = torch.float64
FLOATS = (torch.float16, torch.float32, torch.float64)


class Unknown(Exception):
    pass


def double(t):
    return t.to(D) if t.dtype in FLOATS else t


def attributes(node):
    return {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}


def ints(t):
    return [int(x) for x in t.flatten().tolist()]


def axes_of(a, x, i):
    given = ints(x[i]) if len(x) > i and x[i] is not None else a.get("axes")
    if not given and a.get("noop_with_empty_axes"):
        return []
    return list(given) if given else list(range(x[0].ndim))


def reduced(f):
    def run(a, x, _):
        axes, keep = axes_of(a, x, 1), bool(a.get("keepdims", 1))
        return x[0] if axes == [] else f(x[0], axes, keep)

    return run


def norm(x, axis, weight, bias, epsilon, centred):
    axes = list(range(axis % x.ndim, x.ndim))
    inner = x - x.mean(axes, keepdim=True) if centred else x
    out = inner / torch.sqrt(inner.pow(2).mean(axes, keepdim=True) + epsilon)
    out = out * weight if weight is not None else out
    return out + bias if bias is not None else out


def opt(x, i):
    return x[i] if len(x) > i else None


def softmax(a, x, opset, log=False):
    f = torch.log_softmax if log else torch.softmax
    if opset >= 13:
        return f(x[0], a.get("axis", -1))
    axis = a.get("axis", 1) % x[0].ndim
    return f(x[0].flatten(axis), axis).reshape(x[0].shape)


def slice_(a, x, _):
    data = x[0]
    starts, ends = ints(x[1]), ints(x[2])
    axes = ints(x[3]) if opt(x, 3) is not None else list(range(len(starts)))
    steps = ints(x[4]) if opt(x, 4) is not None else [1] * len(starts)
    for s, e, axis, step in zip(starts, ends, axes, steps):
        n = data.shape[axis]
        s = min(max(s + n if s < 0 else s, 0), n - 1 if step < 0 else n)
        e = min(max(e + n if e < 0 else e, -1 if step < 0 else 0), n)
        data = data.index_select(axis, torch.arange(s, e, step))
    return data


def reshape(a, x, _):
    shape = [x[0].shape[i] if n == 0 and not a.get("allowzero") else n for i, n in enumerate(ints(x[1]))]
    return x[0].reshape(shape)


def gather(a, x, _):
    axis = a.get("axis", 0) % x[0].ndim
    index = x[1].long()
    index = torch.where(index < 0, index + x[0].shape[axis], index)
    out = x[0].index_select(axis, index.flatten())
    return out.reshape((*x[0].shape[:axis], *index.shape, *x[0].shape[axis + 1 :]))


def gather_nd(a, x, _):
    index = x[1].long()
    return x[0][tuple(index.unbind(-1))]


def scatter_nd(a, x, _):
    index = tuple(x[1].long().unbind(-1))
    add = a.get("reduction", b"none") == b"add"
    return x[0].index_put(index, x[2].to(x[0].dtype), accumulate=add)


def scatter_elements(a, x, _):
    axis = a.get("axis", 0)
    index = x[1].long()
    index = torch.where(index < 0, index + x[0].shape[axis], index)
    if a.get("reduction", b"none") == b"add":
        return x[0].scatter_add(axis, index, x[2])
    return x[0].scatter(axis, index, x[2])


def split(a, x, _, count):
    axis = a.get("axis", 0)
    sizes = ints(x[1]) if opt(x, 1) is not None else a.get("split")
    n = x[0].shape[axis]
    part = math.ceil(n / count)
    return list(torch.split(x[0], list(sizes) if sizes else part, axis))


def conv(a, x, _):
    w, k = x[1], x[1].ndim - 2
    pads = list(a.get("pads", [0] * 2 * k))
    strides, dilations = list(a.get("strides", [1] * k)), list(a.get("dilations", [1] * k))
    mode = a.get("auto_pad", b"NOTSET")
    if mode in (b"SAME_UPPER", b"SAME_LOWER"):
        total = [max(0, (math.ceil(x[0].shape[i + 2] / strides[i]) - 1) * strides[i] + (w.shape[i + 2] - 1) * dilations[i] + 1 - x[0].shape[i + 2]) for i in range(k)]
        small = [t // 2 for t in total]
        large = [t - s for t, s in zip(total, small)]
        pads = small + large if mode == b"SAME_UPPER" else large + small
    flat = [p for i in reversed(range(k)) for p in (pads[i], pads[i + k])]
    f = [torch.nn.functional.conv1d, torch.nn.functional.conv2d, torch.nn.functional.conv3d][k - 1]
    return f(torch.nn.functional.pad(x[0], flat), w, opt(x, 2), stride=strides, dilation=dilations, groups=a.get("group", 1))


def pad(a, x, _):
    pads = ints(x[1]) if opt(x, 1) is not None else list(a["pads"])
    axes = ints(x[3]) if opt(x, 3) is not None else list(range(x[0].ndim))
    n = len(axes)
    full = [(0, 0)] * x[0].ndim
    for i, axis in enumerate(axes):
        full[axis] = (pads[i], pads[i + n])
    flat = [p for pair in reversed(full) for p in pair]
    value = float(x[2]) if opt(x, 2) is not None and x[2].numel() else 0
    if x[0].dtype == torch.bool:
        return torch.nn.functional.pad(x[0].int(), flat, value=value).bool()
    return torch.nn.functional.pad(x[0], flat, value=value)


def cast(a, x, _):
    to = a["to"]
    if to in (1, 10, 11, 16):
        return x[0].to(D)
    return x[0].to({2: torch.uint8, 3: torch.int8, 5: torch.int16, 6: torch.int32, 7: torch.int64, 9: torch.bool, 12: torch.int64, 13: torch.int64}[to])


def rotary(x, positions, cos, sin, interleaved, heads, dim):
    """[B, T, H * d] or [B, H, T, d]."""
    flat = x.ndim == 3
    if flat:
        heads = heads or (x.shape[-1] // (2 * cos.shape[-1]))
        y = x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(1, 2)
    else:
        y = x
    if positions is not None:
        if positions.ndim == 1 and positions.numel() == 1:
            positions = positions[None] + torch.arange(y.shape[2])[None]
        cos, sin = cos[positions.long()], sin[positions.long()]
    cos, sin = cos[:, None], sin[:, None]
    half = cos.shape[-1]
    turned, rest = y[..., : 2 * half], y[..., 2 * half :]
    if interleaved:
        p, q = turned[..., ::2], turned[..., 1::2]
        out = torch.stack([p * cos - q * sin, q * cos + p * sin], -1).flatten(-2)
    else:
        p, q = turned[..., :half], turned[..., half:]
        out = torch.cat([p * cos - q * sin, q * cos + p * sin], -1)
    out = torch.cat([out, rest], -1)
    return out.transpose(1, 2).reshape(x.shape) if flat else out


def heads_of(x, n):
    return x.reshape(x.shape[0], x.shape[1], n, -1).transpose(1, 2)


def attend(q, k, v, scale=0.0, softcap=0.0, causal=False, window=None, bias=None, sink=None, offset=None, flat=True):
    if k.shape[1] != q.shape[1]:
        k, v = (t.repeat_interleave(q.shape[1] // k.shape[1], 1) for t in (k, v))
    s = q @ k.transpose(-1, -2) * (scale or q.shape[-1] ** -0.5)
    if softcap:
        s = torch.tanh(s / softcap) * softcap
    if bias is not None:
        s = torch.where(bias, s, -math.inf) if bias.dtype == torch.bool else s + bias
    i = torch.arange(s.shape[-2])[:, None] + (s.shape[-1] - s.shape[-2] if offset is None else offset)
    j = torch.arange(s.shape[-1])[None]
    if causal or window:
        s = torch.where(j > i, -math.inf, s)
    if window:
        s = torch.where(j <= i - window, -math.inf, s)
    if sink is not None:
        column = sink.reshape(1, -1, 1, 1).expand(*s.shape[:3], 1)
        p = torch.softmax(torch.cat([s, column], -1), -1)[..., :-1]
    else:
        p = torch.softmax(s, -1)
    out = p @ v
    return out.transpose(1, 2).flatten(2) if flat else out


def gqa(a, x, _):
    n, m = a["num_heads"], a["kv_num_heads"]
    if opt(x, 1) is None:
        every = heads_of(x[0], n + 2 * m)
        q, k, v = every[:, :n], every[:, n : n + m], every[:, n + m :]
    else:
        q, k, v = heads_of(x[0], n), heads_of(x[1], m), heads_of(x[2], m)
    if a.get("do_rotary"):
        at = x[9] if opt(x, 9) is not None else torch.arange(q.shape[2])[None]
        q, k = (rotary(t, at, x[7], x[8], a.get("rotary_interleaved", 0), 0, 0) for t in (q, k))
    window = a.get("local_window_size", -1)
    sink = opt(x, 11)
    return [
        attend(q, k, v, a.get("scale", 0.0), a.get("softcap", 0.0), bool(a.get("causal", 1)), window if window > 0 else None, opt(x, 10), sink),
        k,
        v,
    ]


def mha(a, x, _):
    n = a["num_heads"]
    b = opt(x, 3)
    if opt(x, 1) is None:
        q, k, v = (x[0][:, :, :, i].transpose(1, 2) for i in range(3))
    else:
        w = 0 if b is None else b.shape[0] // 3
        with_bias = lambda t, i: t if b is None else t + b[i * w : (i + 1) * w]
        q = heads_of(with_bias(x[0], 0), n)
        if x[1].ndim == 5:
            k, v = x[1][:, :, :, 0].transpose(1, 2), x[1][:, :, :, 1].transpose(1, 2)
        else:
            k = x[1] if x[1].ndim == 4 else heads_of(with_bias(x[1], 1), n)
            v = x[2] if x[2].ndim == 4 else heads_of(with_bias(x[2], 2), n)
    return [attend(q, k, v, a.get("scale", 0.0), causal=bool(a.get("unidirectional", 0)), bias=opt(x, 5)), k, v]


def attention(a, x, _):
    n = a["num_heads"]
    y = x[0] @ x[1] + (x[2] if opt(x, 2) is not None else 0)
    sizes = a.get("qkv_hidden_sizes") or [y.shape[-1] // 3] * 3
    q, k, v = (heads_of(t, n) for t in torch.split(y, list(sizes), -1))
    return [attend(q, k, v, a.get("scale", 0.0), causal=bool(a.get("unidirectional", 0)), bias=opt(x, 5)), None]


def standard(a, x, _):
    flat = x[0].ndim == 3
    q, k, v = (heads_of(t, a["q_num_heads" if i == 0 else "kv_num_heads"]) if flat else t for i, t in enumerate(x[:3]))
    before = 0
    if opt(x, 4) is not None:
        before = x[4].shape[2]
        k, v = torch.cat([x[4], k], 2), torch.cat([x[5], v], 2)
    out = attend(q, k, v, a.get("scale", 0.0), a.get("softcap", 0.0), bool(a.get("is_causal", 0)), None, opt(x, 3), None, before, flat)
    return [out, k, v, None]


def skip_norm(simple):
    def run(a, x, _):
        bias = opt(x, 3) if simple else opt(x, 4)
        total = x[0] + x[1]
        total = total + bias if bias is not None else total
        out = norm(total, -1, x[2], None if simple else opt(x, 3), a.get("epsilon", 1e-12), not simple)
        return [out, None, None, total]

    return run


def embed_norm(a, x, _):
    at = opt(x, 8) if opt(x, 8) is not None else torch.arange(x[0].shape[1])[None]
    total = x[2][x[0].long()] + x[3][at.long()]
    if opt(x, 1) is not None and opt(x, 4) is not None:
        total = total + x[4][x[1].long()]
    return [norm(total, -1, x[5], x[6], a.get("epsilon", 1e-12), True), torch.tensor([x[0].shape[1]]), total]


def gelu(x):
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def tanh_gelu(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def fused_matmul(a, x, _):
    p = x[0].transpose(-1, -2) if a.get("transA") else x[0]
    q = x[1].transpose(-1, -2) if a.get("transB") else x[1]
    return a.get("alpha", 1.0) * (p @ q)


def gemm(a, x, _):
    p = x[0].T if a.get("transA") else x[0]
    q = x[1].T if a.get("transB") else x[1]
    y = a.get("alpha", 1.0) * (p @ q)
    return y + a.get("beta", 1.0) * x[2] if opt(x, 2) is not None else y


def div(x, y):
    return x / y if x.dtype in FLOATS else torch.div(x, y, rounding_mode="trunc")


def expand(a, x, _):
    return x[0].expand(torch.broadcast_shapes(x[0].shape, tuple(ints(x[1])))).clone()


def top_k(a, x, _):
    v, i = torch.topk(x[0], int(x[1]), a.get("axis", -1), bool(a.get("largest", 1)), True)
    return [v, i]


def cum_sum(a, x, _):
    axis = int(x[1])
    y = x[0].flip(axis) if a.get("reverse") else x[0]
    z = y.cumsum(axis) - (y if a.get("exclusive") else 0)
    return z.flip(axis) if a.get("reverse") else z


def one_hot(a, x, _):
    depth = int(x[1])
    index = x[0].long() % depth
    hot = torch.nn.functional.one_hot(index, depth)
    axis = a.get("axis", -1)
    out = torch.where(hot.bool(), x[2][1], x[2][0])
    return out if axis in (-1, out.ndim - 1) else out.movedim(-1, axis)


def trilu(a, x, _):
    k = int(x[1]) if opt(x, 1) is not None else 0
    return torch.triu(x[0], k) if a.get("upper", 1) else torch.tril(x[0], k)


def size_for(x, axes):
    y = x
    for axis in sorted(a % (x.ndim + len(axes)) for a in axes):
        y = y.unsqueeze(axis)
    return y


def squeeze(a, x, _):
    axes = ints(x[1]) if opt(x, 1) is not None else a.get("axes")
    if axes is None:
        return x[0].squeeze()
    return x[0].reshape([n for i, n in enumerate(x[0].shape) if i not in [q % x[0].ndim for q in axes]])


def unsqueeze(a, x, _):
    return size_for(x[0], ints(x[1]) if opt(x, 1) is not None else list(a["axes"]))


def clip(a, x, _):
    low = x[1] if opt(x, 1) is not None else a.get("min")
    high = x[2] if opt(x, 2) is not None else a.get("max")
    y = x[0]
    y = y if low is None else torch.clamp(y, min=float(low)) if y.dtype in FLOATS else torch.clamp(y, min=int(low))
    return y if high is None else torch.clamp(y, max=float(high)) if y.dtype in FLOATS else torch.clamp(y, max=int(high))


def many(f):
    def run(a, x, _):
        y = x[0]
        for z in x[1:]:
            y = f(y, z)
        return y

    return run


def along(a, t, x):
    """A scale or zero point in a shape that is broadcast to x."""
    if t is None or t.numel() == 1:
        return t
    return t.reshape([-1 if i == a.get("axis", 1) % x.ndim else 1 for i in range(x.ndim)])


def straight(q, low, high):
    """Rounding and its limits as PyTorch's fake quantisation has them: a slope of 1 within the limits, of 0 beyond."""
    rounded = torch.round(q.detach())
    through = torch.where((rounded >= low) & (rounded <= high), q, q.detach())
    return through + (torch.clamp(rounded, low, high) - q.detach())


def quantise(a, x, _):
    zero = opt(x, 2)
    kind = torch.uint8 if zero is None else zero.dtype
    if kind not in (torch.uint8, torch.int8):
        raise Unknown(f"QuantizeLinear to {kind}")
    limits = torch.iinfo(kind)
    q = x[0] / along(a, x[1], x[0]) + (0 if zero is None else along(a, zero, x[0]).to(D))
    return straight(q, limits.min, limits.max)


def dequantise(a, x, _):
    if a.get("block_size"):
        raise Unknown("DequantizeLinear in blocks")
    zero = 0 if opt(x, 2) is None else along(a, x[2], x[0]).to(D)
    return (x[0].to(D) - zero) * along(a, x[1], x[0])


def dynamic(a, x, _):
    """The scale is a constant of the rounding."""
    low, high = min(0.0, x[0].min().item()), max(0.0, x[0].max().item())
    scale = torch.tensor((high - low) / 255, dtype=D)
    zero = torch.tensor(min(255, max(0, round(-low / float(scale)))), dtype=torch.uint8)
    return [straight(x[0] / scale + zero.to(D), 0, 255), scale, zero]


def integer_product(a, x, _):
    p, q = (t.to(D) - (0 if opt(x, i) is None else opt(x, i).to(D)) for i, t in ((2, x[0]), (3, x[1])))
    return p @ q


def few_bits(a, x, _):
    """MatMulNBits: [N, blocks, bytes] with the low bits first, whose zero points are packed alike or in the middle."""
    n, k, bits, size = a["N"], a["K"], a.get("bits", 4), a["block_size"]
    per = 8 // bits
    unpack = lambda t: torch.stack([(t.to(torch.int64) >> (bits * i)) & (2**bits - 1) for i in range(per)], -1)
    codes = unpack(x[1]).reshape(n, -1, size).to(D)
    count = codes.shape[1]
    zeros = opt(x, 3)
    if zeros is None:
        zero = torch.full((n, count, 1), 2.0 ** (bits - 1), dtype=D)
    elif zeros.dtype == torch.uint8:
        zero = unpack(zeros.reshape(n, -1)).reshape(n, -1)[:, :count, None].to(D)
    else:
        zero = zeros.reshape(n, count, 1)
    weight = ((codes - zero) * x[2].reshape(n, count, 1)).reshape(n, -1)[:, :k]
    y = x[0] @ weight.T
    return y if opt(x, 5) is None else y + x[5]


one = lambda f: (lambda a, x, _: f(x[0]))
two = lambda f: (lambda a, x, _: f(x[0], x[1]))

OPS = {
    **{k: one(f) for k, f in {
        "Identity": lambda x: x, "Dropout": lambda x: x, "Neg": torch.neg, "Abs": torch.abs, "Exp": torch.exp, "Log": torch.log,
        "Sqrt": torch.sqrt, "Reciprocal": torch.reciprocal, "Sigmoid": torch.sigmoid, "Tanh": torch.tanh, "Relu": torch.relu,
        "Erf": torch.erf, "Sin": torch.sin, "Cos": torch.cos, "Not": torch.logical_not, "IsNaN": torch.isnan, "Softplus": torch.nn.functional.softplus,
        "Floor": torch.floor, "Ceil": torch.ceil, "Round": torch.round, "Sign": torch.sign, "Size": lambda x: torch.tensor(x.numel()),
        "NonZero": lambda x: x.nonzero().T.contiguous(), "QuickGelu": lambda x: x * torch.sigmoid(1.702 * x), "Mish": torch.nn.functional.mish,
        "HardSwish": torch.nn.functional.hardswish, "Softsign": torch.nn.functional.softsign,
    }.items()},
    **{k: two(f) for k, f in {
        "Sub": torch.sub, "Div": div, "Pow": lambda x, y: torch.pow(x, y), "Equal": torch.eq, "Greater": torch.gt,
        "Less": torch.lt, "GreaterOrEqual": torch.ge, "LessOrEqual": torch.le, "And": torch.logical_and, "Or": torch.logical_or, "Xor": torch.logical_xor,
        "MatMul": torch.matmul, "PRelu": lambda x, s: torch.where(x > 0, x, x * s), "CastLike": lambda x, y: x.to(y.dtype), "Mod": torch.remainder,
    }.items()},
    "Add": many(torch.add), "Mul": many(torch.mul), "Sum": many(torch.add), "Max": many(torch.maximum), "Min": many(torch.minimum),
    "Where": lambda a, x, _: torch.where(x[0], x[1], x[2]),
    "Gelu": lambda a, x, _: tanh_gelu(x[0]) if a.get("approximate") == b"tanh" else gelu(x[0]),
    "BiasGelu": lambda a, x, _: gelu(x[0] + x[1]),
    "FastGelu": lambda a, x, _: tanh_gelu(x[0] + (x[1] if opt(x, 1) is not None else 0)),
    "LeakyRelu": lambda a, x, _: torch.where(x[0] > 0, x[0], a.get("alpha", 0.01) * x[0]),
    "Elu": lambda a, x, _: torch.where(x[0] > 0, x[0], a.get("alpha", 1.0) * (torch.exp(x[0]) - 1)),
    "Swish": lambda a, x, _: x[0] * torch.sigmoid(a.get("alpha", 1.0) * x[0]),
    "Cast": cast, "Clip": clip, "Reshape": reshape, "Slice": slice_, "Gather": gather, "GatherND": gather_nd,
    "GatherElements": lambda a, x, _: torch.gather(x[0], a.get("axis", 0), torch.where(x[1] < 0, x[1] + x[0].shape[a.get("axis", 0)], x[1]).long()),
    "ScatterND": scatter_nd, "ScatterElements": scatter_elements, "Squeeze": squeeze, "Unsqueeze": unsqueeze,
    "Flatten": lambda a, x, _: x[0].reshape(math.prod(x[0].shape[: a.get("axis", 1)]), -1),
    "Transpose": lambda a, x, _: x[0].permute(a.get("perm", list(range(x[0].ndim))[::-1])),
    "Concat": lambda a, x, _: torch.cat(list(x), a["axis"]), "Expand": expand, "Conv": conv, "Pad": pad, "Gemm": gemm,
    "Tile": lambda a, x, _: x[0].repeat(ints(x[1])), "Trilu": trilu, "CumSum": cum_sum, "TopK": top_k, "OneHot": one_hot,
    "Shape": lambda a, x, _: torch.tensor(x[0].shape[a.get("start", 0) : a.get("end")]),
    "ConstantOfShape": lambda a, x, _: torch.full(ints(x[0]), 0.0, dtype=D) if "value" not in a else torch.full(ints(x[0]), numpy_helper.to_array(a["value"]).item(), dtype=D if a["value"].data_type in (1, 10, 11) else None),
    "Range": lambda a, x, _: torch.arange(x[0].item(), x[1].item(), x[2].item(), dtype=x[0].dtype),
    "ArgMax": lambda a, x, _: x[0].argmax(a.get("axis", 0), bool(a.get("keepdims", 1))),
    "EyeLike": lambda a, x, _: torch.eye(*x[0].shape, dtype=D),
    "Einsum": lambda a, x, _: torch.einsum(a["equation"].decode(), *x),
    "Softmax": softmax, "LogSoftmax": lambda a, x, o: softmax(a, x, o, True),
    "ReduceSum": reduced(lambda x, axes, keep: x.sum(axes, keep)), "ReduceMean": reduced(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMax": reduced(lambda x, axes, keep: x.amax(axes, keep)), "ReduceMin": reduced(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceL2": reduced(lambda x, axes, keep: x.pow(2).sum(axes, keep).sqrt()), "ReduceSumSquare": reduced(lambda x, axes, keep: x.pow(2).sum(axes, keep)),
    "ReduceProd": reduced(lambda x, axes, keep: x.prod(axes[0], keep)),
    "ReduceL1": reduced(lambda x, axes, keep: x.abs().sum(axes, keep)), "ReduceLogSumExp": reduced(lambda x, axes, keep: torch.logsumexp(x, axes, keep)),
    "LayerNormalization": lambda a, x, _: [norm(x[0], a.get("axis", -1), x[1], opt(x, 2), a.get("epsilon", 1e-5), True), None, None],
    "RMSNormalization": lambda a, x, _: norm(x[0], a.get("axis", -1), x[1], None, a.get("epsilon", 1e-5), False),
    "SimplifiedLayerNormalization": lambda a, x, _: [norm(x[0], a.get("axis", -1), x[1], None, a.get("epsilon", 1e-5), False), None],
    "BatchNormalization": lambda a, x, _: torch.nn.functional.batch_norm(x[0], x[3], x[4], x[1], x[2], False, 0, a.get("epsilon", 1e-5)),
    "InstanceNormalization": lambda a, x, _: torch.nn.functional.instance_norm(x[0], weight=x[1], bias=x[2], eps=a.get("epsilon", 1e-5)),
    "LpNormalization": lambda a, x, _: torch.nn.functional.normalize(x[0], a.get("p", 2), a.get("axis", -1)),
    "FusedMatMul": fused_matmul, "SkipLayerNormalization": skip_norm(False), "SkipSimplifiedLayerNormalization": skip_norm(True),
    "QuantizeLinear": quantise, "DequantizeLinear": dequantise, "DynamicQuantizeLinear": dynamic, "MatMulInteger": integer_product,
    "MatMulNBits": few_bits, "EmbedLayerNormalization": embed_norm, "GroupQueryAttention": gqa, "MultiHeadAttention": mha,
}


def run_node(node, x, opset):
    a = attributes(node)
    if node.op_type == "Constant":
        if "value" in a:
            return [double(torch.from_numpy(numpy_helper.to_array(a["value"]).copy()))]
        return [torch.tensor(next(iter(a.values())))]
    if node.op_type == "Attention":
        return (attention if node.domain == "com.microsoft" else standard)(a, x, opset)
    if node.op_type == "RotaryEmbedding":
        if node.domain:
            return [rotary(x[0], x[1], x[2], x[3], a.get("interleaved", 0), a.get("num_heads", 0), 0)]
        return [rotary(x[0], opt(x, 3), x[1], x[2], a.get("interleaved", 0), a.get("num_heads", 0), 0)]
    if node.op_type == "Split":
        return split(a, x, opset, len(node.output))
    f = OPS.get(node.op_type)
    if f is None:
        raise Unknown(node.op_type)
    y = f(a, x, opset)
    return y if isinstance(y, list) else [y]


def execute(graph, functions, opset, values, track):
    for node in graph.node if hasattr(graph, "node") else graph:
        if (node.domain, node.op_type) in functions:
            f = functions[node.domain, node.op_type]
            inner = {name: values.get(i) for name, i in zip(f.input, node.input)}
            execute(f, functions, opset, inner, track)
            for name, o in zip(f.output, node.output):
                values[o] = inner[name]
            continue
        if node.op_type == "If":
            a = attributes(node)
            branch = a["then_branch"] if bool(values[node.input[0]]) else a["else_branch"]
            inner = dict(values)
            for i in branch.initializer:
                inner[i.name] = double(torch.from_numpy(numpy_helper.to_array(i).copy()))
            execute(branch, functions, opset, inner, track)
            for o, b in zip(node.output, branch.output):
                values[o] = inner[b.name]
            continue
        outputs = run_node(node, [values[i] if i else None for i in node.input], opset)
        for i, y in enumerate(outputs):
            if y is None:
                continue
            if torch.is_tensor(y) and y.dtype == D:
                if not y.requires_grad:
                    y = y.detach().requires_grad_(track(y))
                if y.requires_grad:
                    y.retain_grad()
                    KEPT.append(y)
            if i < len(node.output) and node.output[i]:
                values[node.output[i]] = y


KEPT = []


def feeds_of(model, golden, names):
    initializers = {i.name for i in model.graph.initializer}
    fixture = names
    values = {}
    length = None
    for i in model.graph.input:
        if i.name in golden:
            t = golden[i.name]
            if t.dtype in (torch.int64, torch.int32) and length is None and t.ndim == 2:
                length = t.shape[1]
    for i in model.graph.input:
        if i.name in initializers:
            continue
        if i.name in golden:
            values[i.name] = double(golden[i.name])
            continue
        shape = fixture.get(i.name, {}).get("fed_shape")
        kind = i.type.tensor_type.elem_type
        low = i.name.lower()
        dims = shape or [d.dim_value or (0 if "past" in (d.dim_param or "") else 1) for d in i.type.tensor_type.shape.dim]
        if "past" in low and "length" not in low and ("key" in low or "value" in low or "past_" in low):
            if not shape:
                dims[-2] = 0
            values[i.name] = torch.zeros(dims, dtype=D)
        elif "position" in low:
            values[i.name] = torch.arange(length).reshape([1, length])
        elif kind == 9:
            values[i.name] = torch.zeros(dims, dtype=torch.bool)
        elif "mask" in low:
            values[i.name] = torch.ones(shape or [1, length], dtype=D if kind in (1, 10) else torch.int64)
        elif "seqlens" in low:
            values[i.name] = torch.tensor([[length - 1]])
        elif "total" in low:
            values[i.name] = torch.tensor([length])
        elif "type" in low:
            values[i.name] = torch.zeros([1, length], dtype=torch.int64)
        else:
            raise Unknown(f"input {i.name}")
    return values


def gradients(folder: Path) -> dict:
    KEPT.clear()
    model = onnx.load(folder / "model.onnx")
    facts = json.loads((folder / "fixture.json").read_text())
    with safe_open(folder / "golden.safetensors", framework="pt") as f:
        golden = {k: f.get_tensor(k) for k in f.keys()}
    if facts.get("head") == "none" and "stream" in facts:
        raise Unknown("its stream ends inside of the graph, whose output is another's")
    if "altup" in facts["name"]:
        raise Unknown("its stream is kept in copies, for which gradients are refused")
    known = {i["name"]: i for i in facts.get("inputs", []) if "name" in i}
    if "ids" in facts:
        # A batch that is fixed has the same in every example.
        first = model.graph.input[0]
        dims = [d.dim_value for d in first.type.tensor_type.shape.dim]
        ids = torch.tensor(facts["ids"])[None]
        golden[first.name] = ids.repeat(max(1, dims[0]), 1) if len(dims) == 2 else ids
        golden["input_ids"] = golden[first.name]
    values = feeds_of(model, golden, known)
    for i in model.graph.initializer:
        values[i.name] = double(torch.from_numpy(numpy_helper.to_array(i, str(folder)).copy()))
    opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
    functions = {(f.domain, f.name): f for f in model.functions}
    h0 = golden["hidden.0"].to(D)
    tolerance = 2e-5 if facts.get("dtype") == "float32" else 2e-2
    same = lambda t, w: t.numel() == w.numel() and float((t.detach().reshape(w.shape) - w).abs().max()) <= tolerance * float(w.abs().max())
    for name, value in list(values.items()):
        if name in golden and torch.is_tensor(value) and value.dtype == D and same(value, h0):
            values[name] = value.requires_grad_()
            value.retain_grad()
            KEPT.append(values[name])
    execute(model.graph, functions, opset, values, lambda t: same(t, h0))
    def turned(t, w):
        # Tokens may be another axis than the golden has them on.
        orders = itertools.permutations(range(t.ndim)) if t.numel() == w.numel() and t.ndim < 5 else []
        return next((order for order in orders if same(t.permute(order), w)), None)

    layers = max(int(k.split(".")[1]) for k in golden if k.startswith("hidden."))
    states = []
    for k in range(layers + 1):
        w = golden[f"hidden.{k}"].to(D)
        found = next(((t, order) for t in KEPT if (order := turned(t, w)) is not None), None)
        if found is None:
            raise Unknown(f"h_{k} is nowhere")
        states.append(found)
    output = values[model.graph.output[0].name]
    ids = golden.get("input_ids")
    vocabulary = facts.get("vocabulary") or 0
    is_head = ids is not None and output.ndim == 3 and output.shape[1] == ids.numel() and facts.get("head", "logits") == "logits" and output.shape[-1] >= 90
    if is_head:
        loss = torch.nn.functional.cross_entropy(output[0, :-1], ids.flatten()[1:].long())
    else:
        loss = output.pow(2).sum()
    loss.backward()
    if not any(t.grad is not None and float(t.grad.abs().max()) > 1e-12 * loss.item() for t, _ in states):
        raise Unknown("L is the same whatever h_k is: the squares of what has a length of 1")
    result = {"of": "loss" if is_head else "squares", "value": loss.item(), "norm": [], "projection": []}
    for k, (t, order) in enumerate(states):
        w = golden[f"hidden.{k}"]
        g = (torch.zeros_like(t) if t.grad is None else t.grad).permute(order).reshape(w.shape)
        result["norm"].append(g.norm(dim=-1).flatten().tolist())
        c = torch.cos(torch.arange(1, w.shape[-1] + 1, dtype=D))
        result["projection"].append((g @ c).flatten().tolist())
    return result


def main() -> None:
    results, gaps = {}, {}
    target = Path(sys.argv[1])
    for folder in map(Path, sys.argv[2:]):
        try:
            results[folder.name] = gradients(folder)
        except Exception as error:  # noqa: BLE001
            gaps[folder.name] = f"{type(error).__name__}: {error}"[:160]
    short = lambda v: float(f"{v:.7g}") if isinstance(v, float) else [short(x) for x in v] if isinstance(v, list) else v
    target.write_text(json.dumps({n: {k: short(v) for k, v in r.items()} for n, r in results.items()}, indent=0))
    print(len(results), "with gradients")
    for name, why in gaps.items():
        print("none of", name, why)


if __name__ == "__main__":
    main()
