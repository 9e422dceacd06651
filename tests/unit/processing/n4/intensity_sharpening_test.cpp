#include "processing/preprocessing/n4/intensity_sharpening.h"

#include <gtest/gtest.h>

#include <cmath>
#include <complex>

#include "processing/preprocessing/n4/fourier.h"
#include "tests/support/head_phantom.h"

namespace choana::processing {
namespace {

using Complex = std::complex<long double>;

/// The definition, with n^2 terms.
std::vector<Complex> fourier_by_definition(const std::vector<Complex>& x, int sign) {
  const std::size_t size = x.size();
  std::vector<Complex> result(size);
  for (std::size_t k = 0; k < size; ++k)
    for (std::size_t n = 0; n < size; ++n) {
      const long double angle = sign * 2 * 3.14159265358979323846264338L * static_cast<long double>(k * n % size) / static_cast<long double>(size);
      result[k] += x[n] * Complex(std::cos(angle), std::sin(angle));
    }
  return result;
}

TEST(FourierTransform, IsTheDefinition) {
  test::Pcg32 random(1);
  for (const std::size_t size : {2U, 4U, 8U, 64U, 256U}) {
    std::vector<double> re, im;
    std::vector<Complex> x;
    for (std::size_t n = 0; n < size; ++n) {
      re.push_back(random.normal());
      im.push_back(random.normal());
      x.emplace_back(re.back(), im.back());
    }
    const FourierTransform fourier(size);
    fourier.forward(re, im);
    const auto expected = fourier_by_definition(x, -1);
    for (std::size_t n = 0; n < size; ++n) {
      EXPECT_NEAR(re[n], static_cast<double>(expected[n].real()), 1e-13 * static_cast<double>(size));
      EXPECT_NEAR(im[n], static_cast<double>(expected[n].imag()), 1e-13 * static_cast<double>(size));
    }
    fourier.backward(re, im);
    for (std::size_t n = 0; n < size; ++n) EXPECT_NEAR(re[n] / static_cast<double>(size), static_cast<double>(x[n].real()), 1e-14);
  }
}

TEST(Histogram, SharesAValueBetweenTheTwoNearestBinsAndDropsWhatLiesBeyond) {
  const IntensityBins bins{1.0F, 0.5F, 4};  // centres 1, 1.5, 2, 2.5
  const std::vector<float> values{1.0F, 1.25F, 2.125F, 2.5F, 2.6F, 0.9F, -1e30F, 1e30F};
  const std::vector<float> field(values.size(), 0.0F);
  TriangularHistogram histogram(4);
  histogram.add(values.data(), field.data(), values.size(), bins);
  EXPECT_EQ(histogram.counts(), (std::vector<double>{1.5, 0.5, 0.75, 1.25}));
}

TEST(Histogram, IsTheSameInParts) {
  test::Pcg32 random(2);
  std::vector<float> values, field;
  for (int n = 0; n < 5000; ++n) {
    values.push_back(static_cast<float>(5 + random.normal()));
    field.push_back(static_cast<float>(0.1 * random.normal()));
  }
  const IntensityBins bins = make_bins(2, 8, 200);
  TriangularHistogram whole(200), first(200), second(200);
  whole.add(values.data(), field.data(), 5000, bins);
  first.add(values.data(), field.data(), 1234, bins);
  second.add(values.data() + 1234, field.data() + 1234, 5000 - 1234, bins);
  second.add(first);
  EXPECT_EQ(whole.counts(), second.counts());
  std::vector<double> expected(200, 0.0);
  for (std::size_t n = 0; n < 5000; ++n) {
    const float s = ((values[n] - field[n]) - bins.low) / bins.width;
    if (s < 0 || s > 199) continue;
    const auto k = static_cast<std::size_t>(s);
    const double o = static_cast<double>(s) - static_cast<double>(k);
    expected[k] += 1 - o;
    if (o > 0) expected[k + 1] += o;
  }
  for (std::size_t k = 0; k < 200; ++k) EXPECT_NEAR(whole.counts()[k], expected[k], 1e-6);
}

TEST(Histogram, PadsAsItkDoes) {
  // numpy 2: 2 ** (ceil(float64(log(float32(bins))) / log(2.0)) + 1); the logarithm in float makes 256 longer than 255 would be.
  EXPECT_EQ(padded_size(200), 512U);
  EXPECT_EQ(padded_size(64), 256U);
  EXPECT_EQ(padded_size(256), 1024U);
  EXPECT_EQ(padded_size(257), 1024U);
  EXPECT_EQ(padded_size(1000), 2048U);
  EXPECT_EQ(padded_size(100000), 262144U);
}

/// spec/n4.md "Sharpening", term by term.
std::vector<double> sharpening_by_definition(const std::vector<double>& counts, const IntensityBins& bins, double fwhm, double noise) {
  const std::size_t size = padded_size(bins.count);
  const std::size_t offset = (size - counts.size()) / 2;
  const double h = static_cast<double>(bins.width);
  const long double w = fwhm / h;
  std::vector<Complex> blur(size), v(size);
  for (std::size_t n = 0; n <= size / 2; ++n)
    blur[n] = blur[(size - n) % size] = 2 * std::sqrt(std::log(2.0L) / 3.14159265358979323846264338L) / w * std::exp(-4 * std::log(2.0L) * static_cast<long double>(n * n) / (w * w));
  for (std::size_t n = 0; n < counts.size(); ++n) v[n + offset] = counts[n];
  const auto f = fourier_by_definition(blur, -1);
  auto u = fourier_by_definition(v, -1);
  for (std::size_t n = 0; n < size; ++n) u[n] *= (std::conj(f[n]) / (std::norm(f[n]) + static_cast<long double>(noise))).real();
  u = fourier_by_definition(u, 1);
  std::vector<Complex> numerator(size), denominator(size);
  for (std::size_t n = 0; n < size; ++n) {
    const long double clipped = std::max(0.0L, u[n].real());
    numerator[n] = (static_cast<long double>(bins.low) + (static_cast<long double>(n) - static_cast<long double>(offset)) * h) * clipped;
    denominator[n] = clipped;
  }
  numerator = fourier_by_definition(numerator, -1);
  denominator = fourier_by_definition(denominator, -1);
  for (std::size_t n = 0; n < size; ++n) {
    numerator[n] *= f[n];
    denominator[n] *= f[n];
  }
  numerator = fourier_by_definition(numerator, 1);
  denominator = fourier_by_definition(denominator, 1);
  std::vector<double> table;
  for (std::size_t k = 0; k < counts.size(); ++k)
    table.push_back(denominator[k + offset].real() == 0 ? 0 : static_cast<double>(numerator[k + offset].real() / denominator[k + offset].real()));
  return table;
}

TEST(Sharpening, IsTheDefinitionTermByTerm) {
  test::Pcg32 random(3);
  std::vector<double> counts(60, 0.0);
  for (int n = 0; n < 4000; ++n) {
    const double centre = n % 3 == 0 ? 18 : n % 3 == 1 ? 35 : 44;
    counts[static_cast<std::size_t>(std::clamp(centre + 4 * random.normal(), 0.0, 59.0))] += 1;
  }
  const IntensityBins bins{3.0F, 0.03F, 60};
  const auto table = sharpening_table(counts, bins, 0.15F, 0.01F);
  const auto expected = sharpening_by_definition(counts, bins, static_cast<double>(0.15F), static_cast<double>(0.01F));
  for (std::size_t k = 5; k < 55; ++k) EXPECT_NEAR(static_cast<double>(table[k]), expected[k], 3e-6) << k;  // where there are counts
  // It does sharpen: between two tissues a value is drawn to the nearer one, so the table is no straight line.
  EXPECT_GT(table[18 + 3], bins.low);
  EXPECT_LT(table[18 + 3], bins.low + 21 * bins.width);
}

TEST(Sharpening, LooksUpBetweenCentresAndKeepsTheLastValueBeyond) {
  const IntensityBins bins{10.0F, 2.0F, 3};
  const SharpeningLookup lookup({1.0F, 5.0F, 7.0F}, bins);
  const std::vector<float> v{10.0F, 11.0F, 13.0F, 14.0F, 20.0F, 9.0F};
  const std::vector<float> field(v.size(), 0.0F);
  std::vector<float> residual(v.size());
  lookup.residuals(v.data(), field.data(), v.size(), residual.data());
  EXPECT_EQ(residual, (std::vector<float>{9.0F, 8.0F, 7.0F, 7.0F, 13.0F, 2.0F}));
}

}  // namespace
}  // namespace choana::processing
