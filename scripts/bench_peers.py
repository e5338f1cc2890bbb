"""qsim beside PyTorch and ONNX Runtime on one geometry: called by scripts/bench_peers.sh.

Random weights and images; the same network in float (PyTorch, ONNX Runtime), in int8 by ONNX Runtime
(QDQ, weights per channel, static activations) and by qsim from a bundle. Times are medians of single
images, interleaved, as ratios to ONNX Runtime in the same run.
"""
import argparse
import json
import logging
import pathlib
import statistics
import subprocess
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import (CalibrationDataReader, QuantFormat, QuantType,
                                      quantize_static)
from safetensors.numpy import save_file

GEOMETRIES = {  # dim, heads, depth
    "deit-t": (192, 3, 12),
    "vit-s": (384, 6, 12),
    "vit-b": (768, 12, 12),
    "vit-l": (1024, 16, 24),
}
IMAGE, PATCH, CLASSES, EPS = 224, 16, 1000, 1e-6
TOKENS = (IMAGE // PATCH) ** 2 + 1


def weights(dim, depth, rng):
    def w(*shape, std=0.02):
        return (rng.standard_normal(shape) * std).astype(np.float32)

    t = {"patch_embed.proj.weight": w(dim, 3, PATCH, PATCH), "patch_embed.proj.bias": w(dim),
         "cls_token": w(1, 1, dim), "pos_embed": w(1, TOKENS, dim)}
    norms = ["norm."] + [f"blocks.{i}.norm{n}." for i in range(depth) for n in (1, 2)]
    for name in norms:
        t[name + "weight"], t[name + "bias"] = 1 + w(dim, std=0.1), w(dim)
    layers = {"head": (CLASSES, dim, 0.02)}
    for i in range(depth):
        layers |= {f"blocks.{i}.attn.qkv": (3 * dim, dim, 0.05),
                   f"blocks.{i}.attn.proj": (dim, dim, 0.02),
                   f"blocks.{i}.mlp.fc1": (4 * dim, dim, 0.02),
                   f"blocks.{i}.mlp.fc2": (dim, 4 * dim, 0.02)}
    for name, (out, of, std) in layers.items():
        t[name + ".weight"], t[name + ".bias"] = w(out, of, std=std), w(out)
    return t


def onnx_model(t, dim, heads, depth):
    """The usual graph; products that are constants on one side as MatMul with a bias behind."""
    nodes, constants = [], []

    def constant(name, value):
        constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def op(kind, *inputs, **attributes):
        out = f"t{len(nodes)}"
        nodes.append(helper.make_node(kind, list(inputs), [out], **attributes))
        return out

    def linear(x, name):
        product = op("MatMul", x, constant(name + ".w", t[name + ".weight"].T))
        return op("Add", product, constant(name + ".b", t[name + ".bias"]))

    def norm(x, name):
        return op("LayerNormalization", x, constant(name + ".g", t[name + ".weight"]),
                  constant(name + ".be", t[name + ".bias"]), axis=-1, epsilon=EPS)

    d = dim // heads
    split = constant("split", np.array([1, TOKENS, 3, heads, d], np.int64))
    joined = constant("joined", np.array([1, TOKENS, dim], np.int64))
    root = constant("root", np.array(np.sqrt(2), np.float32))
    one, half = constant("one", np.array(1, np.float32)), constant("half", np.array(0.5, np.float32))
    patches = op("Conv", "image", constant("pw", t["patch_embed.proj.weight"]),
                 constant("pb", t["patch_embed.proj.bias"]), strides=[PATCH, PATCH],
                 kernel_shape=[PATCH, PATCH])
    flat = op("Reshape", patches, constant("flat", np.array([1, dim, -1], np.int64)))
    x = op("Concat", constant("cls", t["cls_token"]), op("Transpose", flat, perm=[0, 2, 1]), axis=1)
    x = op("Add", x, constant("pos", t["pos_embed"]))
    for i in range(depth):
        b = f"blocks.{i}."
        qkv = op("Reshape", linear(norm(x, b + "norm1"), b + "attn.qkv"), split)
        q, k, v = (op("Squeeze", op("Gather", qkv, constant(f"{b}{n}", np.array([n], np.int64)),
                                    axis=2), constant(f"{b}a{n}", np.array([2], np.int64)))
                   for n in range(3))
        q = op("Mul", op("Transpose", q, perm=[0, 2, 1, 3]),
               constant(b + "s", np.array(d ** -0.5, np.float32)))
        scores = op("MatMul", q, op("Transpose", k, perm=[0, 2, 3, 1]))
        mixed = op("MatMul", op("Softmax", scores, axis=-1), op("Transpose", v, perm=[0, 2, 1, 3]))
        mixed = op("Reshape", op("Transpose", mixed, perm=[0, 2, 1, 3]), joined)
        x = op("Add", x, linear(mixed, b + "attn.proj"))
        h = linear(norm(x, b + "norm2"), b + "mlp.fc1")
        gate = op("Mul", op("Add", op("Erf", op("Div", h, root)), one), half)
        x = op("Add", x, linear(op("Mul", h, gate), b + "mlp.fc2"))
    token = op("Gather", norm(x, "norm"), constant("zero", np.array(0, np.int64)), axis=1)
    nodes[-1].output[0] = token
    logits = linear(token, "head")
    graph = helper.make_graph(
        nodes, "vit", [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, IMAGE, IMAGE])],
        [helper.make_tensor_value_info(logits, TensorProto.FLOAT, [1, CLASSES])], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


class Images(CalibrationDataReader):
    def __init__(self, images):
        self.images = iter(images)

    def get_next(self):
        image = next(self.images, None)
        return None if image is None else {"image": image}


def session(path, threads):
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def per_image(command, few, many):
    """Loading cancels: the difference of two runs."""
    run = lambda images: subprocess.run(command + ["--images", str(images)], check=True,
                                        capture_output=True)
    return (seconds(lambda: run(many)) - seconds(lambda: run(few))) / (many - few)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("qsim", type=pathlib.Path)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--model", choices=GEOMETRIES, default="vit-b")
    parser.add_argument("--config", default="configs/pretrained.yaml")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    logging.disable(logging.WARNING)
    ort.set_default_logger_severity(3)
    dim, heads, depth = GEOMETRIES[args.model]
    work = args.work / args.model
    work.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    t = weights(dim, depth, rng)
    save_file(t, str(work / "model.safetensors"))
    pixels = np.repeat(np.repeat(rng.integers(0, 256, (16, 3, 28, 28), dtype=np.uint8), 8, 2), 8, 3)
    np.save(work / "calib_images.npy", pixels[:4])
    np.save(work / "eval_images.npy", np.concatenate([pixels] * 4))
    (work / "manifest.yaml").write_text(
        f"name: {args.model}-random\nmodel: model.safetensors\n"
        f"geometry: {{image: {IMAGE}, channels: 3, patch: {PATCH}, dim: {dim}, heads: {heads}, "
        f"tokens: {TOKENS}, depth: {depth}, mlp_hidden: {4 * dim}, classes: {CLASSES}, "
        f"eps: {EPS}, activation: gelu}}\nmean: [0.5, 0.5, 0.5]\nstd: [0.5, 0.5, 0.5]\n"
        "calibration: {images: calib_images.npy}\nevaluation: {images: eval_images.npy}\n")
    bundle = work / "bundle"
    qsim = [str(args.qsim)]
    subprocess.run(qsim + ["calibrate", "--config", args.config, "--input", str(work), "--scope",
                           "model", "--images", "16", "--output", str(bundle)],
                   check=True, capture_output=True)
    images = ((pixels[:, None].astype(np.float32) / 255 - 0.5) / 0.5)
    float_path, int8_path = work / "float.onnx", work / "int8.onnx"
    onnx.save(onnx_model(t, dim, heads, depth), float_path)
    quantize_static(str(float_path), str(int8_path), Images(images[:4]), quant_format=QuantFormat.QDQ,
                    per_channel=True, weight_type=QuantType.QInt8, activation_type=QuantType.QUInt8)
    float_session, int8_session = session(float_path, args.threads), session(int8_path, args.threads)
    threads = ["--threads", str(args.threads)]
    evaluate = qsim + ["eval", "--bundle", str(bundle), "--input", str(work)] + threads
    watched = qsim + ["run", "--bundle", str(bundle), "--rtl", "off"] + threads
    rows = {
        "ONNX Runtime int8": lambda i: seconds(lambda: int8_session.run(None, {"image": images[i]})),
        "ONNX Runtime float": lambda i: seconds(lambda: float_session.run(None, {"image": images[i]})),
        "qsim integer": lambda i: per_image(evaluate + ["--only", "integer"], 1, 17),
        "qsim all taps, sums watched": lambda i: per_image(watched, 1, 9),
        "qsim float, ideal and integer": lambda i: per_image(evaluate, 1, 3),
    }
    try:
        import torch

        torch.set_num_threads(args.threads)
        layer = torch.nn.TransformerEncoderLayer(dim, heads, 4 * dim, 0.0, "gelu", batch_first=True,
                                                 norm_first=True).eval()
        tokens = torch.zeros(1, TOKENS, dim)

        def forward():
            with torch.inference_mode():
                for _ in range(depth):
                    layer(tokens)

        rows["PyTorch float, blocks alone"] = lambda i: seconds(forward)
    except ImportError:
        pass
    for measure in rows.values():
        measure(0)  # warm
    times = {name: [] for name in rows}
    for i in range(args.repeats):
        for name, measure in rows.items():
            times[name].append(measure(i % 16))
    medians = {name: statistics.median(values) for name, values in times.items()}
    if args.json:
        print(json.dumps({"model": args.model, "threads": args.threads, "seconds": medians}, indent=2))
        return
    print(f"{args.model}, {args.threads} thread(s): seconds for an image, and ratios")
    print(f"  {'':32}{'s':>9}{'/ ORT int8':>12}{'/ ORT float':>13}")
    for name, value in medians.items():
        print(f"  {name:32}{value:9.4f}{value / medians['ONNX Runtime int8']:12.2f}"
              f"{value / medians['ONNX Runtime float']:13.2f}")


if __name__ == "__main__":
    main()
