#include "processing/preprocessing/n4/running_variation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "tests/support/head_phantom.h"

namespace choana::processing {
namespace {

/// The recurrence as ITK's CalculateConvergenceMeasurement writes it (RealType is float).
struct Recurrence {
  float mu = 0, sigma = 0, count = 0;
  void add(float pixel) {
    count += 1.0F;
    if (count > 1.0F) {
      const float square = (pixel - mu) * (pixel - mu);
      sigma = static_cast<float>(static_cast<double>(sigma) + static_cast<double>(square) * (static_cast<double>(count) - 1.0) / static_cast<double>(count));
    }
    mu = static_cast<float>(static_cast<double>(mu) * (1.0 - 1.0 / static_cast<double>(count)) + static_cast<double>(pixel / count));
  }
  [[nodiscard]] float value() const { return static_cast<float>(std::sqrt(static_cast<double>(sigma) / (static_cast<double>(count) - 1.0))) / mu; }
};

void expect_same(const std::vector<float>& values, std::size_t part) {
  RunningVariation ours;
  Recurrence scalar;
  for (std::size_t start = 0; start < values.size(); start += part) {
    const std::size_t length = std::min(part, values.size() - start);
    ours.add(values.data() + start, length);
    for (std::size_t n = 0; n < length; ++n) scalar.add(values[start + n]);
    ASSERT_EQ(ours.mean(), scalar.mu) << start;
    ASSERT_EQ(ours.sum_of_squares(), scalar.sigma) << start;
  }
  ASSERT_EQ(ours.value(), scalar.value());
}

TEST(RunningVariation, IsTheScalarRecurrenceToTheLastBit) {
  for (std::uint64_t seed = 1; seed <= 24; ++seed) {
    test::Pcg32 random(seed);
    const double spread = std::pow(10.0, -1 - static_cast<double>(seed % 6));
    const double centre = seed % 4 == 0 ? 0.98 : seed % 4 == 1 ? 1.0 : seed % 4 == 2 ? 1.0004 : 1.7;
    std::vector<float> values;
    for (int n = 0; n < 60'000; ++n) values.push_back(static_cast<float>(centre * (1 + spread * random.normal() + 1e-3 * std::sin(n * 1e-3))));
    expect_same(values, 997 + seed);
  }
}

TEST(RunningVariation, IsTheRecurrenceForValuesOfOneKindAndForTies) {
  expect_same(std::vector<float>(20'000, 1.0F), 100);
  std::vector<float> values;
  for (int n = 0; n < 100'000; ++n) values.push_back(n % 2 == 0 ? 1.0F + 0x1p-12F : 1.0F - 0x1p-12F);
  expect_same(values, 5'000);
  for (int n = 0; n < 100'000; ++n) values.push_back(n % 3 == 0 ? 1.0F + 0x1p-10F : 1.0F);
  expect_same(values, 5'000);
}

TEST(RunningVariation, IsTheRecurrenceWhereTheFloatCounterStops) {
  test::Pcg32 random(3);
  std::vector<float> piece;
  for (int n = 0; n < 1 << 20; ++n) piece.push_back(static_cast<float>(1.001 + 1e-3 * random.normal()));
  RunningVariation ours;
  Recurrence scalar;
  for (int part = 0; part < 18; ++part) {
    ours.add(piece.data(), piece.size());
    for (const float value : piece) scalar.add(value);
  }
  EXPECT_EQ(scalar.count, 16777216.0F) << "2^24, though 18 * 2^20 values came";
  EXPECT_EQ(ours.value(), scalar.value());
}

TEST(RunningVariation, IsNotTheTrueStatisticForManyValues) {
  // Why the recurrence is kept: the mean is that of the first values (spec/n4.md, "Convergence").
  RunningVariation variation;
  std::vector<float> values;
  for (int n = 0; n < 200'000; ++n) values.push_back(n < 20'000 ? 1.0F : 1.001F);
  variation.add(values.data(), values.size());
  double mean = 0, squares = 0;
  for (const float value : values) mean += static_cast<double>(value) / 200'000;
  for (const float value : values) squares += (static_cast<double>(value) - mean) * (static_cast<double>(value) - mean);
  EXPECT_GT(static_cast<double>(variation.value()), 1.05 * std::sqrt(squares / 199'999) / mean);
}

}  // namespace
}  // namespace choana::processing
