#pragma once

// A package whose model is a line over two deep features of T2: network and self-test are written here.

#include <cmath>
#include <cstdio>
#include <string>

#include "tests/unit/processing/onnx/onnx_models.h"
#include "tests/unit/processing/prediction/package_copy.h"

namespace choana::test {

/// A small image network of random weights: input (1, 3, 32, 32), output `y` of 6 values, `flat` with 8 before it.
inline std::string small_network() {
  ModelMaker maker;
  maker.input("image", {-1, 3, 32, 32}).output("y");
  maker.weights("w1", {8, 3, 7, 7}, random_floats(8 * 3 * 49, 1, 0.1F)).weights("b1", {8}, random_floats(8, 2, 0.1F));
  maker.weights("w2", {8, 8, 3, 3}, random_floats(8 * 8 * 9, 3, 0.2F)).weights("w3", {6, 8}, random_floats(48, 4)).weights("b3", {6}, random_floats(6, 5));
  auto* first = maker.node("Conv", {"image", "w1", "b1"}, {"c1"});
  ModelMaker::set(first, "strides", std::vector<std::int64_t>{2, 2});
  ModelMaker::set(first, "pads", std::vector<std::int64_t>{3, 3, 3, 3});
  maker.node("Relu", {"c1"}, {"r1"});
  ModelMaker::set(maker.node("MaxPool", {"r1"}, {"p1"}), "kernel_shape", std::vector<std::int64_t>{2, 2});
  ModelMaker::set(maker.node("Conv", {"p1", "w2"}, {"c2"}), "pads", std::vector<std::int64_t>{1, 1, 1, 1});
  maker.node("Add", {"c2", "p1"}, {"s2"});
  maker.node("Relu", {"s2"}, {"r2"});
  maker.node("GlobalAveragePool", {"r2"}, {"mean"});
  maker.node("Flatten", {"mean"}, {"flat"});
  ModelMaker::set(maker.node("Gemm", {"flat", "w3", "b3"}, {"y"}), "transB", 1);
  return maker.bytes();
}

/// demo-t2-only with other features, stages and files. missing: what becomes of a deep feature that is not there.
class DeepPackage : public PackageCopy {
 public:
  explicit DeepPackage(const std::string& missing = "refuse") {
    std::filesystem::remove_all(folder() / "model");
    std::filesystem::remove_all(folder() / "extraction");
    write("model/network.onnx", small_network());
    write("model/line.ir.json", R"({"ir":1,"kind":"linear","features":["T2.primary.deep_1","T2.primary.deep_4"],"coef":[2.0,-0.5],"intercept":[0.25],"link":"logistic"})");
    write("features.csv",
          "order,id,role,roi,kind,feature,unit,train_mean,train_sd,q01,q99\n1,T2.primary.deep_1,T2,primary,deep,deep_1,1,0,1,-100,100\n2,T2.primary.deep_4,T2,primary,deep,deep_4,1,0,1,-100,100\n");
    std::string rows = "case,T2.primary.deep_1,T2.primary.deep_4,line,line.margin\n";
    for (int n = 0; n < 20; ++n) {
      const double a = n / 8.0 - 1, b = (n % 5) / 4.0, margin = 2 * a - 0.5 * b + 0.25;
      char line[200];
      std::snprintf(line, sizeof line, "%d,%.17g,%.17g,%.17g,%.17g\n", n, a, b, 1 / (1 + std::exp(-margin)), margin);
      rows += line;
    }
    write("selftest.csv", rows);
    write("manifest.yaml", "format: choana-model/1\nid: deep-test\nversion: 0.1.0\ntitle: A line over deep features\nstatus: demonstration\nintended_use: tests\n"
                           "inputs:\n  sequences:\n    T2: {required: true, accepts: [T2, T2-FS]}\n  rois:\n    primary: {required: true, of: [T2], names: [GTVp, \"GTV.*\"]}\n"
                           "deep:\n  - {name: deep, on: T2, of: primary, network: model/network.onnx, crop: region, margin_mm: 2, range: {by: percentiles, of: volume, low: 1, high: 99},\n"
                           "     resize: {filter: bicubic, size: [32, 32]}, mean: [0.5, 0.5, 0.5], sd: [0.25, 0.25, 0.25]}\n"
                           "features: features.csv\nstages:\n  - {id: line, type: linear, file: model/line.ir.json, in: deep, link: logistic}\n"
                           "outputs:\n  - {from: line, name: Line, endpoint: LINE}\nexplain: {line: {method: linear}}\nmissing: {deep: " + missing + "}\n"
                           "selftest: {file: selftest.csv, tolerance: {stages: 1.0e-12, deep: 1.0e-4}}\nintegrity: {sums: SHA256SUMS}\n");
    seal();
  }
};

}  // namespace choana::test
