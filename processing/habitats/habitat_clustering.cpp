#include "processing/habitats/habitat_clustering.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/near_match.h"
#include "core/task_pool.h"
#include "processing/habitats/counter_random.h"
#include "processing/habitats/gaussian_mixture.h"
#include "processing/habitats/k_means.h"

namespace choana::processing {
namespace {

constexpr const char* step = "habitats";

Status check(const VoxelFeatureStack& stack, const HabitatSettings& settings) {
  const auto wrong = [](const std::string& what) { return fail(ErrorCode::invalid_argument, step, what); };
  if (stack.points.rows() == 0 || stack.points.rows() != stack.voxels.size()) return wrong("Habitats need the voxels of a region.");
  if (settings.habitats && (*settings.habitats < 1 || *settings.habitats > habitats_limit)) return wrong("The number of habitats is 1 to 9.");
  if (settings.habitats_max < 1 || settings.habitats_max > habitats_limit) return wrong("The largest number of habitats is 1 to 9.");
  if (settings.voxels_min < 1 || settings.mixture_starts < 1 || settings.k_means_starts < 1 || settings.fit_voxels_max < 100) return wrong("A limit of the habitats is too low.");
  if (!settings.order_by.empty() && settings.order_by != "volume" && std::find(stack.names.begin(), stack.names.end(), settings.order_by) == stack.names.end())
    return wrong("Habitats are to be ordered by '" + settings.order_by + "', which is no feature of theirs." + did_you_mean(settings.order_by, stack.names));
  return {};
}

// So many rows, every set of them equally likely, in their order.
PointTable drawn_rows(const PointTable& points, std::size_t count, std::uint64_t seed) {
  CounterRandom random(seed, 0xD2A3);
  PointTable some{points.columns, {}};
  some.values.reserve(count * points.columns);
  std::size_t wanted = count;
  for (std::size_t n = 0; n < points.rows() && wanted > 0; ++n)
    if (random.uniform() * static_cast<double>(points.rows() - n) < static_cast<double>(wanted)) {
      some.values.insert(some.values.end(), points.row(n), points.row(n) + points.columns);
      --wanted;
    }
  return some;
}

std::vector<std::size_t> sizes_of(const std::vector<int>& labels, std::size_t clusters) {
  std::vector<std::size_t> sizes(clusters, 0);
  for (const int label : labels) ++sizes[static_cast<std::size_t>(label)];
  return sizes;
}

std::vector<double> centres_of(const PointTable& points, const std::vector<int>& labels, const std::vector<std::size_t>& sizes) {
  std::vector<double> centres(sizes.size() * points.columns, 0.0);
  for (std::size_t n = 0; n < points.rows(); ++n)
    for (std::size_t c = 0; c < points.columns; ++c) centres[static_cast<std::size_t>(labels[n]) * points.columns + c] += points.row(n)[c];
  for (std::size_t h = 0; h < sizes.size(); ++h)
    for (std::size_t c = 0; c < points.columns && sizes[h] > 0; ++c) centres[h * points.columns + c] /= static_cast<double>(sizes[h]);
  return centres;
}

// The smallest habitat below the limit joins the one whose centre is nearest, until none is left below it.
int merge_small(const PointTable& points, std::vector<int>& labels, std::size_t clusters, std::size_t voxels_min) {
  int merged = 0;
  for (;;) {
    const std::vector<std::size_t> sizes = sizes_of(labels, clusters);
    const std::vector<double> centres = centres_of(points, labels, sizes);
    std::size_t small = clusters;
    for (std::size_t h = 0; h < clusters; ++h)
      if (sizes[h] > 0 && sizes[h] < voxels_min && (small == clusters || sizes[h] < sizes[small])) small = h;
    if (small == clusters) return merged;
    std::size_t nearest = clusters;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t h = 0; h < clusters; ++h) {
      if (h == small || sizes[h] == 0) continue;
      double distance = 0;
      for (std::size_t c = 0; c < points.columns; ++c) {
        const double x = centres[h * points.columns + c] - centres[small * points.columns + c];
        distance += x * x;
      }
      if (distance < least) {
        least = distance;
        nearest = h;
      }
    }
    if (nearest == clusters) return merged;
    std::replace(labels.begin(), labels.end(), static_cast<int>(small), static_cast<int>(nearest));
    ++merged;
  }
}

/// Old cluster to new number, 1.. in the declared order; 0 for clusters without voxels.
std::vector<int> numbering(const VoxelFeatureStack& stack, const std::vector<int>& labels, std::size_t clusters, const HabitatSettings& settings) {
  const std::vector<std::size_t> sizes = sizes_of(labels, clusters);
  const std::vector<double> means = centres_of(stack.points, labels, sizes);
  std::size_t column = 0;
  if (const auto at = std::find(stack.names.begin(), stack.names.end(), settings.order_by); at != stack.names.end()) column = static_cast<std::size_t>(at - stack.names.begin());
  const auto key = [&](std::size_t h) { return settings.order_by == "volume" ? static_cast<double>(sizes[h]) : means[h * stack.points.columns + column]; };
  std::vector<std::size_t> first(clusters, stack.points.rows());
  for (std::size_t n = labels.size(); n-- > 0;) first[static_cast<std::size_t>(labels[n])] = n;
  std::vector<std::size_t> order;
  for (std::size_t h = 0; h < clusters; ++h)
    if (sizes[h] > 0) order.push_back(h);
  // Equal keys: the habitat that holds the first voxel comes first, whatever cluster number it had.
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (key(a) != key(b)) return settings.descending ? key(a) > key(b) : key(a) < key(b);
    return first[a] < first[b];
  });
  std::vector<int> number(clusters, 0);
  for (std::size_t n = 0; n < order.size(); ++n) number[order[n]] = static_cast<int>(n) + 1;
  return number;
}

}  // namespace

Result<HabitatLabels> cluster_habitats(const VoxelFeatureStack& stack, const HabitatSettings& settings, TaskPool* pool) {
  if (const auto good = check(stack, settings); !good) return fail(good.error());
  HabitatLabels result;
  const std::size_t rows = stack.points.rows();
  if (rows < static_cast<std::size_t>(settings.voxels_min))
    return fail(ErrorCode::roi_too_small, step, "The region has " + std::to_string(rows) + " voxels; a habitat needs " + std::to_string(settings.voxels_min) + ".");
  std::vector<std::string> flat;
  auto scores = standardised(stack, flat);
  if (!scores) return fail(scores.error());
  const PointTable& points = settings.standardise ? *scores : stack.points;
  for (const std::string& name : flat) result.notes.push_back("The feature " + name + " is the same in all voxels of the region and divides nothing.");

  const auto distinct = static_cast<int>(distinct_points(points, habitats_limit));
  std::optional<GaussianMixture> mixture;
  GaussianMixtureSettings fitting;
  fitting.starts = settings.mixture_starts;
  fitting.tolerance = settings.tolerance;
  fitting.regularisation = settings.regularisation;
  fitting.seed = settings.seed;
  PointTable sample;
  const bool sampled = rows > settings.fit_voxels_max && (!settings.habitats || settings.labels == HabitatSettings::Labels::gaussian_mixture);
  if (sampled) {
    sample = drawn_rows(points, settings.fit_voxels_max, settings.seed);
    result.notes.push_back("The Gaussian mixtures were fitted to " + std::to_string(settings.fit_voxels_max) + " of the region's " + std::to_string(rows) +
                           " voxels, drawn at random by the seed; all voxels were labelled.");
  }
  const PointTable& fitted = sampled ? sample : points;

  if (settings.habitats) {
    result.chosen = *settings.habitats;
    if (settings.labels == HabitatSettings::Labels::gaussian_mixture) {
      auto fit = fit_gaussian_mixture(fitted, result.chosen, fitting, pool);
      if (!fit) return fail(fit.error());
      mixture = std::move(*fit);
    }
  } else {
    // Every component keeps at least a habitat's voxels on average and one voxel a parameter direction.
    const auto room = static_cast<int>(std::min<std::size_t>(habitats_limit, rows / std::max<std::size_t>(static_cast<std::size_t>(settings.voxels_min), points.columns + 1)));
    const int k_max = std::max(1, std::min({settings.habitats_max, room, distinct}));
    if (k_max < settings.habitats_max)
      result.notes.push_back("No more than " + std::to_string(k_max) + " habitats were tried: the region has " + std::to_string(rows) + " voxels" +
                             (distinct < room ? " of " + std::to_string(distinct) + " different values." : "."));
    auto fits = fit_gaussian_mixtures(fitted, k_max, fitting, pool);
    if (!fits) return fail(fits.error());
    double lowest = std::numeric_limits<double>::infinity();
    for (std::size_t k = 0; k < fits->size(); ++k) {
      auto& fit = (*fits)[k];
      if (!fit) {
        result.notes.push_back("No mixture of " + std::to_string(k + 1) + " components could be fitted.");
        continue;
      }
      if (!fit->converged) result.notes.push_back("The mixture of " + std::to_string(k + 1) + " components had not settled after " + std::to_string(fit->iterations) + " iterations.");
      result.criterion.emplace_back(static_cast<int>(k) + 1, fit->bic);
      if (fit->bic < lowest) {
        lowest = fit->bic;
        result.chosen = static_cast<int>(k) + 1;
        mixture = std::move(fit);
      }
    }
  }

  std::vector<int> labels;
  if (settings.labels == HabitatSettings::Labels::k_means) {
    KMeansSettings labelling;
    labelling.starts = settings.k_means_starts;
    labelling.seed = settings.seed;
    auto clusters = k_means(points, result.chosen, labelling, pool);
    if (!clusters) return fail(clusters.error());
    if (!clusters->converged) result.notes.push_back("The k-means labels had not settled after " + std::to_string(clusters->iterations) + " iterations.");
    labels = std::move(clusters->labels);
  } else {
    auto components = most_probable_components(*mixture, points);
    if (!components) return fail(components.error());
    labels = std::move(*components);
  }

  const auto clusters = static_cast<std::size_t>(result.chosen);
  if (settings.small == HabitatSettings::Small::merge)
    if (const int merged = merge_small(points, labels, clusters, static_cast<std::size_t>(settings.voxels_min)); merged > 0)
      result.notes.push_back(std::to_string(merged) + (merged == 1 ? " habitat" : " habitats") + " of fewer than " + std::to_string(settings.voxels_min) +
                             " voxels joined the habitat most like it.");
  const std::vector<int> number = numbering(stack, labels, clusters, settings);
  result.count = *std::max_element(number.begin(), number.end());
  if (settings.labels == HabitatSettings::Labels::gaussian_mixture && result.count < result.chosen && settings.small != HabitatSettings::Small::merge)
    result.notes.push_back(std::to_string(result.chosen - result.count) + " components of the mixture are nowhere the most probable.");
  result.labels.reserve(labels.size());
  for (const int label : labels) result.labels.push_back(number[static_cast<std::size_t>(label)]);
  return result;
}

std::vector<HabitatStatistics> habitat_statistics(const VoxelFeatureStack& stack, const HabitatLabels& labels, double voxel_volume_mm3) {
  std::vector<HabitatStatistics> all(static_cast<std::size_t>(labels.count));
  const std::size_t columns = stack.points.columns, rows = stack.points.rows();
  std::vector<double> means(all.size() * columns, 0.0), squares(all.size() * columns, 0.0);
  const auto habitat = [&](std::size_t n) { return static_cast<std::size_t>(labels.labels[n] - 1); };
  for (std::size_t n = 0; n < rows; ++n) {
    ++all[habitat(n)].voxels;
    for (std::size_t c = 0; c < columns; ++c) means[habitat(n) * columns + c] += stack.points.row(n)[c];
  }
  for (std::size_t h = 0; h < all.size(); ++h)
    for (std::size_t c = 0; c < columns; ++c) means[h * columns + c] /= static_cast<double>(all[h].voxels);
  for (std::size_t n = 0; n < rows; ++n)
    for (std::size_t c = 0; c < columns; ++c) {
      const double x = stack.points.row(n)[c] - means[habitat(n) * columns + c];
      squares[habitat(n) * columns + c] += x * x;
    }
  for (std::size_t h = 0; h < all.size(); ++h) {
    all[h].number = static_cast<int>(h) + 1;
    all[h].volume_ml = static_cast<double>(all[h].voxels) * voxel_volume_mm3 / 1000.0;
    all[h].fraction = static_cast<double>(all[h].voxels) / static_cast<double>(rows);
    for (std::size_t c = 0; c < columns; ++c) {
      all[h].means.emplace_back(stack.names[c], means[h * columns + c]);
      all[h].deviations.emplace_back(stack.names[c], std::sqrt(squares[h * columns + c] / static_cast<double>(all[h].voxels)));
    }
  }
  return all;
}

}  // namespace choana::processing
