#!/usr/bin/env python3
"""ResNet50 at full width, our engine beside ONNX Runtime: the same file, the same image, one thread each, run in turns.

    python resnet50.py --runner build/bench/bin/onnx_run [--repeats 40] [--out FILE.json]

Needs numpy, onnx and onnxruntime. The network is made here with seeded weights (conf/models/scripts/make_resnet.py): 25.6 million weights, 4.1 thousand million
multiplications a slice. CPU time of each process; runs of the two alternate, and the order within a pair alternates too, so that whatever else the machine does
meets both. Exit 0 when our median is not above theirs (by more than 1 %) and the logits agree within 1e-4 of their largest.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

os.environ["OMP_NUM_THREADS"] = "1"
import numpy as np
import onnxruntime

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[4] / "conf" / "models" / "scripts"))
from make_resnet import make_resnet


def compare(runner, folder, folded, repeats):
    model = make_resnet(64, 1000, folded).SerializeToString()
    x = np.random.default_rng(3).normal(size=(1, 3, 224, 224)).astype(np.float32)
    network, image, logits = (os.path.join(folder, name) for name in ("network.onnx", "image.raw", "logits.raw"))
    pathlib.Path(network).write_bytes(model)
    x.tofile(image)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    theirs = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    ours = subprocess.Popen([runner, network, "logits", logits, "-", f"input={image}:1,3,224,224"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run_theirs():
        before = time.process_time()
        run_theirs.logits = theirs.run(["logits"], {"input": x})[0]
        return (time.process_time() - before) * 1000

    def run_ours():
        ours.stdin.write("\n")
        ours.stdin.flush()
        return float(ours.stdout.readline())

    times = {"ours": [], "theirs": []}
    for pair in range(repeats + 3):
        order = [("ours", run_ours), ("theirs", run_theirs)]
        for name, run in order if pair % 2 == 0 else reversed(order):
            value = run()
            if pair >= 3:  # the first runs meet cold caches
                times[name].append(value)
    ours.stdin.close()
    ours.wait()
    got = np.fromfile(logits, np.float32)
    expected = run_theirs.logits.ravel()
    result = {"network": "ResNet50, 64 channels, 1000 logits, " + ("convolutions with bias" if folded else "batch normalisation"), "repeats": repeats,
              "onnxruntime": onnxruntime.__version__}
    for name in times:
        result[name + "_ms"] = {"minimum": round(min(times[name]), 2), "median": round(statistics.median(times[name]), 2)}
    result["ratio_of_medians"] = round(statistics.median(times["ours"]) / statistics.median(times["theirs"]), 4)
    result["median_of_ratios"] = round(statistics.median(a / b for a, b in zip(times["ours"], times["theirs"])), 4)
    result["largest_difference"] = float(np.abs(got - expected).max())
    result["largest_logit"] = float(np.abs(expected).max())
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runner", required=True)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--out", type=pathlib.Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = [compare(arguments.runner, folder, folded, arguments.repeats) for folded in (False, True)]
    text = json.dumps(results, indent=1)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    return any(r["ratio_of_medians"] > 1.01 or r["largest_difference"] > 1e-4 * r["largest_logit"] for r in results)


if __name__ == "__main__":
    sys.exit(main())
