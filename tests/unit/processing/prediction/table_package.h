#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "processing/prediction/model_package.h"
#include "processing/prediction/package_files.h"
#include "processing/prediction/readers/table.h"

namespace choana::test {

/// A package made of texts, in memory: features (of the kind `table` where nothing else is said), stages as given, and a self-test that the test itself fills.
struct TablePackage {
  struct Feature {
    std::string id;
    double mean = 0, sd = 1, q01 = -100, q99 = 100, low = -100, high = 100;
    std::string role, feature;  // set: measured on images, in the region primary
  };
  std::vector<Feature> features;
  std::string inputs = "{}";
  std::string stages;   // lines of the list
  std::string outputs;  // lines of the list
  std::string more;     // more keys of the manifest
  std::map<std::string, std::string> files;
  std::vector<std::string> columns;  // of selftest.csv after `case` and the features: site, and what the stages give
  std::vector<std::vector<std::string>> rows;

  static std::string number(double value) { return std::isnan(value) ? std::string() : processing::print_number(value); }

  [[nodiscard]] processing::PackageFiles build() const {
    processing::PackageFiles package;
    std::string table = "order,id,role,roi,kind,feature,unit,train_mean,train_sd,q01,q99,train_min,train_max\n";
    std::string selftest = "case";
    for (std::size_t f = 0; f < features.size(); ++f) {
      const Feature& one = features[f];
      table += std::to_string(f + 1) + "," + one.id + "," + (one.role.empty() ? ",,table," : one.role + ",primary,radiomic," + one.feature) + ",1," + number(one.mean) + "," + number(one.sd) + "," + number(one.q01) + "," + number(one.q99) + "," + number(one.low) + "," + number(one.high) + "\n";
      selftest += "," + one.id;
    }
    for (const std::string& column : columns) selftest += "," + column;
    selftest += "\n";
    for (std::size_t r = 0; r < rows.size(); ++r) {
      selftest += "row-" + std::to_string(r + 1);
      for (const std::string& cell : rows[r]) selftest += "," + cell;
      selftest += "\n";
    }
    package.content = {files.begin(), files.end()};
    package.content["features.csv"] = table;
    package.content["selftest.csv"] = selftest;
    package.content["manifest.yaml"] = "format: choana-model/1\nid: test\nversion: 1.0.0\ntitle: test\nstatus: research\nintended_use: a test\ninputs: " + inputs +
                                       "\nfeatures: features.csv\nstages:\n" + stages + "outputs:\n" + outputs + more + "selftest: {file: selftest.csv, tolerance: {stages: 1.0e-12}}\n";
    processing::seal(package);
    return package;
  }
};

}  // namespace choana::test
