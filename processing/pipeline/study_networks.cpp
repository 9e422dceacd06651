#include "processing/pipeline/study_networks.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "core/task_pool.h"

namespace choana::processing {
namespace {

/// One network on one region; what all packages use of it.
struct NetworkTask {
  const DeepNetwork* network = nullptr;
  const RequiredNetwork* required = nullptr;
  std::size_t task = 0;             // in StudyMeasurements
  std::set<std::size_t> positions;  // in the network's output
};

struct NetworkOutcome {
  std::optional<DeepFeatures> features;
  std::optional<Error> error;
  double seconds = 0;
};

}  // namespace

void StudyNetworks::run(const PipelineSettings& settings, const std::vector<PackagePlan>& plans) {
  std::vector<NetworkTask> tasks;
  for (const PackagePlan& plan : plans) {
    const ModelPackage& package = *settings.packages[plan.package];
    const PackageManifest& manifest = package.manifest();
    for (const PackageFeature& feature : manifest.features) {
      const auto n = manifest.network_of(feature);
      if (!n) continue;
      const auto task = plan.task_of.find({feature.role, feature.roi});
      if (task == plan.task_of.end()) continue;  // an optional series or region that is not there: the package's rule for missing values decides
      const DeepNetwork& network = package.networks()[*n];
      auto same = std::find_if(tasks.begin(), tasks.end(), [&](const NetworkTask& other) { return other.task == task->second && other.network->label() == network.label(); });
      if (same == tasks.end()) same = tasks.insert(same, {&network, &manifest.networks[*n], task->second, {}});
      same->positions.insert(*manifest.networks[*n].position_of(feature.feature));
    }
  }

  std::vector<NetworkOutcome> outcomes(tasks.size());
  run_tasks(settings.pool, tasks.size(), [&](std::size_t t) {
    const MeasurementTask& measured = measurements_[tasks[t].task];
    const StudyImage& image = images_[measured.image];
    NetworkOutcome& outcome = outcomes[t];
    if (image.error) {
      outcome.error = image.error;
      return;
    }
    const double started = log_.now_s();
    auto features = tasks[t].network->extract(image.volume, measurements_.region_of(measured));
    if (features) outcome.features = std::move(*features);
    else outcome.error = features.error();
    outcome.seconds = log_.now_s() - started;
  });

  std::map<std::size_t, std::string> parameters;  // by measurement task: what shaped the values
  for (std::size_t t = 0; t < tasks.size(); ++t) {
    const NetworkTask& task = tasks[t];
    const NetworkOutcome& outcome = outcomes[t];
    const std::string role = measurements_[task.task].role, roi = measurements_.region_of(measurements_[task.task]).name();
    Measurement& measurement = measurements_.at(task.task);
    if (outcome.error) {
      log_.remember(*outcome.error);
      log_.issue(outcome.error->code, outcome.error->message, role, roi);
    }
    for (const std::size_t position : task.positions) {
      FeatureId id = deep_feature_id(*task.network, position);
      // The reader of the package saw to it that positions lie within the output, and names are distinct.
      if (outcome.features)
        static_cast<void>(measurement.features.add(std::move(id), outcome.features->values[position]));
      else
        static_cast<void>(measurement.features.add(std::move(id), NotComputed{std::string(to_string(outcome.error->code)), outcome.error->message}));
    }
    std::string record = "{\"roi\":" + json_quoted(roi) + ",\"network\":" + json_quoted(task.required->file) + ",\"sha256\":\"" + task.network->sha256() + "\",\"label\":" + json_quoted(task.network->label()) +
                         ",\"preparation\":" + task.required->scheme;
    if (outcome.features) {
      record += ",\"slice\":" + std::to_string(outcome.features->slice);
      measurement.notes.push_back("Deep features of the network " + task.network->label() + ", slice " + std::to_string(outcome.features->slice + 1) + " of " +
                                  std::to_string(images_[measurements_[task.task].image].volume.geometry().size()[2]) + ".");
    }
    record += "}";
    std::string& text = parameters[task.task];
    text += (text.empty() ? "" : ",") + record;
    log_.step({"deep_features", role, std::move(record), outcome.seconds});
  }
  for (const auto& [task, text] : parameters) {
    std::string& known = measurements_.at(task).parameters;
    known = known.substr(0, known.rfind('}')) + (known.size() > 2 ? "," : "") + "\"networks\":[" + text + "]}";
  }
}

}  // namespace choana::processing
