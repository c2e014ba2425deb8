"""The forms that models are exported in: exporters, then tools that rewrite an exported file."""

from __future__ import annotations

from pathlib import Path

import onnx
import torch


def named_axes(inputs: dict, head: str) -> dict:
    axes = {}
    for name, value in inputs.items():
        whole = value.dtype in (torch.int64, torch.int32, torch.bool)
        tokens = max((v.shape[1] for v in inputs.values() if v.dim() == 2 and v.dtype == torch.int64), default=0)
        if value.dim() == 2 and value.shape[0] == value.shape[1] == tokens:
            axes[name] = {0: "sequence", 1: "sequence"}
        elif whole and value.dim() >= 2 or value.dim() == 2 and value.shape[1] == tokens:
            axes[name] = {0: "batch", 1: "decoder_sequence" if name.startswith("decoder_") else "sequence"}
        elif name == "inputs_embeds":
            axes[name] = {0: "batch", 1: "sequence"}
        elif value.dim() > 0:
            axes[name] = {0: "batch"}
    axes[head] = {0: "batch"}
    return axes


def torchscript(opset: int, static: bool = False, **options):
    def export(model, inputs, head, path: Path):
        axes = None if static else named_axes(inputs, head)
        names = {"input_names": list(inputs), "output_names": [head]}
        torch.onnx.export(
            model, tuple(inputs.values()), str(path), dynamo=False, opset_version=opset, dynamic_axes=axes, **names, **options
        )

    export.__doc__ = f"torch.onnx.export(dynamo=False, opset_version={opset}{', static shapes' if static else ''})"
    return export


def dynamo(opset: int, static: bool = False, **options):
    def export(model, inputs, head, path: Path):
        shapes = None
        if not static:
            sequence = torch.export.Dim.DYNAMIC
            shapes = (
                tuple(
                    {1: sequence} if (v.dim() == 2 and not v.is_floating_point()) or n == "inputs_embeds" else None
                    for n, v in inputs.items()
                ),
            )
        names = {"input_names": list(inputs), "output_names": [head]}
        torch.onnx.export(
            model,
            tuple(inputs.values()),
            str(path),
            dynamo=True,
            opset_version=opset,
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
            **names,
            **options,
        )

    export.__doc__ = f"torch.onnx.export(dynamo=True, opset_version={opset}{', static shapes' if static else ''})"
    return export


def ort_optimised(model_type: str, heads: int, hidden: int, **options):
    """onnxruntime.transformers' optimizer."""

    def after(path: Path):
        from onnxruntime.transformers.fusion_options import FusionOptions
        from onnxruntime.transformers.optimizer import optimize_model

        fusion = FusionOptions(model_type)
        for name, value in options.items():
            setattr(fusion, name, value)
        optimised = optimize_model(
            str(path), model_type=model_type, num_heads=heads, hidden_size=hidden, opt_level=0, optimization_options=fusion
        )
        optimised.save_model_to_file(str(path))

    return after


def ort_saved(level: str):
    """What an ONNX Runtime session writes after its own optimisations: basic, extended or all."""

    def after(path: Path):
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.graph_optimization_level = getattr(ort.GraphOptimizationLevel, f"ORT_ENABLE_{level.upper()}")
        target = path.with_suffix(".optimised")
        options.optimized_model_filepath = str(target)
        options.log_severity_level = 3
        ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        target.replace(path)

    return after


def slim(path: Path):
    import onnxslim

    onnx.save(onnxslim.slim(str(path)), str(path))


def half(path: Path):
    from onnxruntime.transformers.float16 import convert_float_to_float16

    onnx.save(convert_float_to_float16(onnx.load(str(path)), keep_io_types=True), str(path))


def dynamic_int8(path: Path):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = path.with_suffix(".int8")
    quantize_dynamic(
        str(path), str(target), weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT}
    )
    target.replace(path)


def then(*steps):
    def after(path: Path):
        for step in steps:
            step(path)

    return after
