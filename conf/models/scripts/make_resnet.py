#!/usr/bin/env python3
"""Make an ONNX image network of ResNet50's structure with seeded random weights: for demonstration packages, tests and benches.

    python3 make_resnet.py NETWORK.onnx [--width 7] [--classes 1000] [--fold] [--opset 13] [--seed 1] [--check CHECK.csv]

Needs numpy and onnx; `--check` (what ONNX Runtime gives for the ramp of `deep.check`) needs onnxruntime too. `--width` is the number of channels after the first convolution: 64 is ResNet50 as published (25.6 million
weights, 102 MB); 7 keeps all its layers and 1,000 logits in 2.1 MB. The weights are random numbers: such a network tells images
apart, and means nothing. Real weights come from whoever trained them (torch.onnx.export writes the same graph).
"""

import argparse
import pathlib

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def make_resnet(width=64, classes=1000, folded=False, opset=13, seed=1, size=224):
    """The graph with input `input` (n, 3, size, size) and output `logits` (n, classes); the 32 * width values before the last layer are named `features`.

    folded: convolutions with bias, as exporters write them in inference mode; otherwise BatchNormalization follows every convolution.
    """
    rng = np.random.default_rng(seed)
    nodes, weights = [], []
    count = 0

    def constant(values, name):
        weights.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def convolve(x, inputs, outputs, kernel, stride, pad, rectify=True, gain=1.0):
        nonlocal count
        i, count = count, count + 1
        kernels = rng.normal(size=(outputs, inputs, kernel, kernel)) * np.sqrt(2 / (inputs * kernel * kernel))
        gamma, beta = gain * rng.uniform(0.8, 1.2, outputs), rng.normal(size=outputs) * 0.1
        mean, variance = rng.normal(size=outputs) * 0.1, rng.uniform(0.8, 1.2, outputs)
        node = dict(name=f"conv{i}", kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)
        y = f"c{i}"
        if folded:
            scale = gamma / np.sqrt(variance + 1e-5)
            names = [x, constant(kernels * scale[:, None, None, None], f"w{i}"), constant(beta - mean * scale, f"b{i}")]
            nodes.append(helper.make_node("Conv", names, [y], **node))
        else:
            nodes.append(helper.make_node("Conv", [x, constant(kernels, f"w{i}")], [y], **node))
            parameters = [constant(v, f"bn{i}_{j}") for j, v in enumerate((gamma, beta, mean, variance))]
            nodes.append(helper.make_node("BatchNormalization", [y] + parameters, [f"n{i}"], name=f"bn{i}"))
            y = f"n{i}"
        if rectify:
            nodes.append(helper.make_node("Relu", [y], [f"r{i}"], name=f"relu{i}"))
            y = f"r{i}"
        return y

    x, channels = convolve("input", 3, width, 7, 2, 3), width
    nodes.append(helper.make_node("MaxPool", [x], ["pooled"], kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, name="maxpool"))
    x = "pooled"
    for stage, (blocks, middle) in enumerate(zip((3, 4, 6, 3), (width, 2 * width, 4 * width, 8 * width))):
        for block in range(blocks):
            stride = 2 if block == 0 and stage > 0 else 1
            y = convolve(x, channels, middle, 1, 1, 0)
            y = convolve(y, middle, middle, 3, stride, 1)
            # A small gain keeps the sums of sixteen blocks from growing, as training does.
            y = convolve(y, middle, 4 * middle, 1, 1, 0, rectify=False, gain=0.3)
            shortcut = convolve(x, channels, 4 * middle, 1, stride, 0, rectify=False, gain=0.7) if block == 0 else x
            nodes.append(helper.make_node("Add", [y, shortcut], [f"sum{stage}_{block}"], name=f"add{stage}_{block}"))
            x = f"block{stage}_{block}"
            nodes.append(helper.make_node("Relu", [f"sum{stage}_{block}"], [x], name=f"out{stage}_{block}"))
            channels = 4 * middle
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["mean"], name="pool"))
    nodes.append(helper.make_node("Flatten", ["mean"], ["features"], name="flatten"))
    head = rng.normal(size=(classes, channels)) / np.sqrt(channels)
    nodes.append(helper.make_node("Gemm", ["features", constant(head, "fc_weights"), constant(rng.normal(size=classes) * 0.1, "fc_bias")], ["logits"], transB=1, name="fc"))
    graph = helper.make_graph(nodes, "resnet50", [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, size, size])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8, producer_name="choana make_resnet.py")
    onnx.checker.check_model(model)
    return model


def write_check(model, file, name="deep", first_index=0, size=224):
    """The values that ONNX Runtime gives for a ramp: column x of w is x / w - 0.5 in every row and channel."""
    import onnxruntime
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    row = np.arange(size, dtype=np.float32) / np.float32(size) - np.float32(0.5)
    values = session.run(["logits"], {"input": np.broadcast_to(row, (1, 3, size, size)).copy()})[0][0]
    file.write_text("feature,value\n" + "".join(f"{name}_{n + first_index},{float(v)!r}\n" for n, v in enumerate(values)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("network", type=pathlib.Path)
    parser.add_argument("--width", type=int, default=7)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--fold", action="store_true", help="fold BatchNormalization into the convolutions")
    parser.add_argument("--opset", type=int, default=13)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--check", type=pathlib.Path, help="write what the network gives for the ramp, as `deep.check` of a manifest wants it")
    parser.add_argument("--name", default="deep", help="of the features in the check")
    arguments = parser.parse_args()
    model = make_resnet(arguments.width, arguments.classes, arguments.fold, arguments.opset, arguments.seed)
    arguments.network.write_bytes(model.SerializeToString(deterministic=True))
    if arguments.check:
        write_check(model, arguments.check, arguments.name)


if __name__ == "__main__":
    main()
