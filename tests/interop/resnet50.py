"""A ResNet50 with random weights as an ONNX model: what tests and benches run where real weights are not to be had."""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def make_resnet50(width=64, classes=1000, folded=False, opset=13, seed=1):
    """width: channels after the first convolution (64 in the paper). folded: convolutions with bias instead of batch normalisation."""
    rng = np.random.default_rng(seed)
    nodes, weights = [], []
    count = 0

    def constant(values, name):
        weights.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def convolve(x, inputs, outputs, kernel, stride, pad, rectify=True):
        nonlocal count
        i, count = count, count + 1
        names = [x, constant(rng.normal(size=(outputs, inputs, kernel, kernel)) * np.sqrt(2 / (inputs * kernel * kernel)), f"w{i}")]
        if folded:
            names.append(constant(rng.normal(size=outputs) * 0.1, f"b{i}"))
        nodes.append(helper.make_node("Conv", names, [f"c{i}"], name=f"conv{i}", kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4))
        y = f"c{i}"
        if not folded:
            values = (rng.uniform(0.5, 1.5, outputs), rng.normal(size=outputs) * 0.1, rng.normal(size=outputs) * 0.1, rng.uniform(0.5, 1.5, outputs))
            nodes.append(helper.make_node("BatchNormalization", [y] + [constant(v, f"bn{i}_{j}") for j, v in enumerate(values)], [f"n{i}"], name=f"bn{i}"))
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
            y = convolve(y, middle, 4 * middle, 1, 1, 0, False)
            shortcut = convolve(x, channels, 4 * middle, 1, stride, 0, False) if block == 0 else x
            nodes.append(helper.make_node("Add", [y, shortcut], [f"sum{stage}_{block}"], name=f"add{stage}_{block}"))
            x = f"block{stage}_{block}"
            nodes.append(helper.make_node("Relu", [f"sum{stage}_{block}"], [x], name=f"out{stage}_{block}"))
            channels = 4 * middle
    nodes.append(helper.make_node("GlobalAveragePool", [x], ["mean"]))
    nodes.append(helper.make_node("Flatten", ["mean"], ["features"]))
    nodes.append(helper.make_node("Gemm", ["features", constant(rng.normal(size=(classes, channels)) / np.sqrt(channels), "fc_weights"), constant(rng.normal(size=classes) * 0.1, "fc_bias")],
                                  ["logits"], transB=1))
    graph = helper.make_graph(nodes, "resnet50", [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["n", 3, 224, 224])],
                              [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", classes])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    return model
