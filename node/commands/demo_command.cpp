// choana demo: a node, a loopback PACS (DCMTK's storescp, a program that is not ours), one study, and what came back.

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "core/log.h"
#include "dicom-fixtures/synthetic/npc_study.h"
#include "dicom/association_client.h"
#include "dicom/dicom_reader.h"
#include "node/api_client.h"
#include "node/child_process.h"
#include "node/clinical_values.h"
#include "node/commands/commands.h"
#include "node/data_files.h"
#include "node/files.h"
#include "node/job_store.h"
#include "node/settings_reader.h"
#include "node/study_folder.h"
#include "processing/prediction/model_package.h"

namespace choana::node {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

constexpr int wait_max_s = 1800;
constexpr const char* default_package = "demo-npc-response";

void say(const std::string& text) { std::cerr << "demo: " << text << "\n"; }

// The folder is made ready: emptied of an earlier demo, refused when it holds anything else.
Status prepare_folder(const fs::path& out) {
  static const std::set<std::string> ours{"study", "pacs", "charts", "node", "result.json", "node.log", "pacs.log", "choana.toml"};
  std::error_code failed;
  fs::create_directories(out, failed);
  if (failed) return fail(ErrorCode::io_error, "demo", "Cannot create " + out.string() + ": " + failed.message() + ".");
  std::vector<fs::path> old;
  for (const auto& entry : fs::directory_iterator(out)) {
    if (!ours.contains(entry.path().filename().string()))
      return fail(ErrorCode::invalid_argument, "demo", out.string() + " holds files of somebody else (" + entry.path().filename().string() + "); name an empty folder with --out.");
    old.push_back(entry.path());
  }
  for (const fs::path& path : old) fs::remove_all(path, failed);
  for (const char* name : {"study", "pacs", "charts"}) fs::create_directories(out / name, failed);
  if (failed) return fail(ErrorCode::io_error, "demo", "Cannot write in " + out.string() + ": " + failed.message() + ".");
  return {};
}

struct DemoStudy {
  std::string study_instance_uid;
  std::string patient_id;
};

/// The synthetic study: five sequences, and the fat-suppressed one where a model cannot do without it.
Result<DemoStudy> prepare_study(const std::string& source, const fs::path& study_dir, const std::vector<processing::PackageManifest>& manifests) {
  if (source.empty()) {
    fixtures::NpcStudyOptions options;
    for (const processing::PackageManifest& manifest : manifests)
      for (const processing::RequiredSequence& sequence : manifest.sequences)
        if (sequence.required && sequence.accepts == std::vector<std::string>{"T1C-FS"} && options.sequences.back() != "t1cfs") options.sequences.emplace_back("t1cfs");
    auto written = fixtures::write_npc_study(options, study_dir);
    if (!written) return fail(written.error());
  }
  auto scan = scan_study_folder(source.empty() ? study_dir : fs::path(source));
  if (!scan) return fail(scan.error());
  for (const Error& error : scan->unreadable) say(error.message);
  if (scan->studies.empty()) return fail(ErrorCode::not_found, "demo", source + " holds no readable DICOM object.");
  if (scan->studies.size() > 1)
    return fail(ErrorCode::invalid_argument, "demo", source + " holds " + std::to_string(scan->studies.size()) + " studies; the demo shows one. Name the folder of one study.");
  if (!source.empty()) {
    int n = 0;
    for (const FolderInstance& instance : scan->studies.front().instances) {
      char name[16];
      std::snprintf(name, sizeof name, "%05d.dcm", ++n);
      std::error_code failed;
      fs::copy_file(instance.file, study_dir / name, failed);
      if (failed) return fail(ErrorCode::io_error, "demo", "Cannot copy " + instance.file.string() + ": " + failed.message() + ".");
    }
  }
  // Needed only when a model asks for clinical values.
  auto patient = dicom::read_patient_id(scan->studies.front().instances.front().file);
  return DemoStudy{scan->studies.front().study_instance_uid, patient ? *patient : std::string()};
}

/// Values for the invented patient: what the models saw on average in training.
std::vector<ClinicalValue> invented_values(const std::vector<processing::PackageManifest>& manifests) {
  std::vector<ClinicalValue> values;
  for (const processing::PackageManifest& manifest : manifests)
    for (const processing::ClinicalInput& input : manifest.clinical) {
      if (std::any_of(values.begin(), values.end(), [&](const ClinicalValue& v) { return v.name == input.name; })) continue;
      for (const processing::PackageFeature& feature : manifest.features) {
        if (feature.kind != "clinical" || (feature.id != input.name && feature.id != "clinical." + input.name) || !std::isfinite(feature.train_mean)) continue;
        values.push_back({input.name, input.whole_number ? std::round(feature.train_mean) : std::round(feature.train_mean * 100) / 100, input.unit, "2026-01-02", "file"});
      }
    }
  // Age and sex stand in the headers.
  std::erase_if(values, [](const ClinicalValue& v) { return v.name == "age" || v.name == "sex"; });
  return values;
}

/// Tell the node the clinical values of the patient, as a hospital's interface would.
Status put_clinical(const fs::path& settings_file, const std::string& patient_id, const std::string& document, bool invented) {
  auto settings = read_settings(settings_file);
  if (!settings) return fail(settings.error());
  auto answer = call_node(*settings, "PUT", "/api/v1/patients/" + url_segment(patient_id) + "/clinical", document);
  if (!answer) return fail(answer.error());
  if (answer->status != 204) return fail(ErrorCode::peer_refused, "demo", "The node refused the clinical values: " + answer->body);
  say(std::string(invented ? "the synthetic patient's clinical values, invented (training means)" : "clinical values") + ", set by PUT /api/v1/patients/{id}/clinical: " + document);
  return {};
}

std::string quoted(const fs::path& path) {
  std::string text = "\"";
  for (const char c : fs::absolute(path).lexically_normal().string()) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

Status write_demo_settings(const fs::path& file, const fs::path& state_dir, const std::vector<fs::path>& packages, int pacs_port) {
  std::string text = "# settings of this demo, written by choana demo\n[node]\nae_title = \"CHOANA\"\nstate_dir = " + quoted(state_dir) +
                     "\n\n[receive]\nlisten = \"127.0.0.1:0\"\n\n[[peer]]\nname = \"demo\"\nae_title = \"*\"\nnetworks = [\"127.0.0.0/8\"]\n"
                     "\n[[destination]]\nname = \"pacs\"\nae_title = \"PACS\"\nhost = \"127.0.0.1\"\nport = " +
                     std::to_string(pacs_port) + "\n\n[study]\nquiet_s = 5\ndeadline_s = 30\n\n[retention]\ndisk_low_mib = 256\ndisk_reserve_mib = 64\n\n[http]\nlisten = \"127.0.0.1:0\"\n";
  for (const fs::path& package : packages) text += "\n[[package]]\npath = " + quoted(package) + "\n";
  return write_file(file, text);
}

// One association for the whole study, as a modality sends it.
Status send_study(const fs::path& study_dir, int port) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(study_dir))
    if (entry.is_regular_file() && entry.path().extension() == ".dcm") files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  StoreClient client({.called_ae_title = "CHOANA", .calling_ae_title = "DEMO", .host = "127.0.0.1", .port = static_cast<std::uint16_t>(port)});
  if (auto connected = client.connect(files); !connected) return connected;
  for (const fs::path& file : files) {
    auto status = client.store(file);
    if (!status) return fail(status.error());
    if (*status != 0) {
      char text[8];
      std::snprintf(text, sizeof text, "%04X", *status);
      return fail(ErrorCode::peer_refused, "demo", "The node refused " + file.filename().string() + " with status " + text + ".");
    }
  }
  client.release();
  say("sent " + std::to_string(files.size()) + " objects to the node by C-STORE");
  return {};
}

struct Awaited {
  StudyStory story;
  bool complete = false;  // a verdict, and everything delivered
};

Result<Awaited> wait_for_result(const fs::path& database, const std::string& study_uid, ChildProcess& node) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(wait_max_s);
  StudyState shown = StudyState::collecting;
  while (std::chrono::steady_clock::now() < deadline) {
    if (!node.running()) return fail(ErrorCode::internal, "demo", "The node ended; see node.log.");
    auto store = open_sqlite_job_store_read_only(database);
    if (store) {
      auto story = (*store)->study_story(study_uid);
      if (story) {
        if (story->study.state != shown) {
          shown = story->study.state;
          say("study is " + std::string(to_string(shown)));
        }
        bool delivered = true;
        for (const Delivery& delivery : story->deliveries) delivered = delivered && delivery.state == DeliveryState::delivered;
        if (!story->result_json.empty() && delivered && !story->deliveries.empty()) return Awaited{std::move(*story), true};
        if (shown == StudyState::failed) return Awaited{std::move(*story), false};
      }
    }
    std::this_thread::sleep_for(milliseconds(50));
  }
  return fail(ErrorCode::timed_out, "demo", "There was no result within 30 minutes; see node.log.");
}

fs::path find_in_pacs(const fs::path& pacs, const std::string& sop_instance_uid) {
  for (const auto& entry : fs::directory_iterator(pacs))
    if (entry.path().filename().string().ends_with(sop_instance_uid + ".dcm")) return entry.path();
  return {};
}

std::string shown_path(const fs::path& path) {
  const fs::path relative = path.lexically_proximate(fs::current_path());
  return relative.empty() || *relative.begin() == ".." ? path.string() : relative.string();
}

// The last lines of scripts/demo (spec/interface.md 1). Returns false if an object did not arrive.
bool show(const fs::path& out, const nlohmann::json& result) {
  bool all_arrived = true;
  const auto line = [](const char* word, const std::string& text) { std::printf("%-11s %s\n", word, text.c_str()); };
  std::string outcome = result.at("outcome");
  if (result.at("reason").is_object()) outcome += ": " + result["reason"].at("code").get<std::string>() + ": " + result["reason"].at("text").get<std::string>();
  line("outcome", outcome);
  for (const char* group : {"SR", "SEG", "SC"})
    for (const auto& object : result.at("objects")) {
      const std::string kind = object.at("kind");
      if (kind.substr(0, kind.find('-')) != group) continue;
      const fs::path file = find_in_pacs(out / "pacs", object.at("sop_instance_uid"));
      all_arrived = all_arrived && !file.empty();
      line(group, (file.empty() ? "NOT ARRIVED" : shown_path(file)) + "  (" + kind + ")");
    }
  if (result.at("predictions").empty()) line("prediction", "none (radiomics only)");
  for (const auto& prediction : result.at("predictions")) {
    char value[160];
    const std::string unit = prediction.at("unit");
    if (unit == "1")
      std::snprintf(value, sizeof value, "%.4g", prediction.at("value").get<double>());
    else
      std::snprintf(value, sizeof value, "%.1f %s", prediction.at("value").get<double>(), unit.c_str());
    std::string text = prediction.at("output").get<std::string>() + " " + value;
    if (prediction.at("threshold").is_number()) {
      if (unit == "1")
        std::snprintf(value, sizeof value, " (threshold %.4g)", prediction["threshold"].get<double>());
      else
        std::snprintf(value, sizeof value, " (threshold %.1f %s)", prediction["threshold"].get<double>(), unit.c_str());
      text += value;
    }
    if (const std::string group = prediction.at("group"); !group.empty()) text += ": " + group;
    text += "  [" + prediction.at("package").get<std::string>() + " " + prediction.at("version").get<std::string>() + ", " + prediction.at("status").get<std::string>() + "]";
    line("prediction", text);
  }
  std::fflush(stdout);
  return all_arrived;
}

Result<int> demonstrate(const std::string& source, const fs::path& out, const std::vector<std::string>& package_names, const std::string& clinical_file) {
  std::vector<fs::path> packages;
  std::vector<processing::PackageManifest> manifests;
  std::string clinical;
  if (!clinical_file.empty()) {
    auto text = read_file(clinical_file, 1U << 20);
    if (!text) return fail(text.error());
    if (auto document = parse_clinical_document(*text, "file"); !document) return fail(document.error());
    clinical = std::move(*text);
  }
  for (const std::string& name : package_names) {
    auto folder = find_package(name);
    if (!folder) return fail(folder.error());
    auto package = processing::ModelPackage::load(*folder);
    if (!package) return fail(package.error());
    manifests.push_back(package->manifest());
    packages.push_back(*folder);
  }
  if (auto ready = prepare_folder(out); !ready) return fail(ready.error());
  auto study = prepare_study(source, out / "study", manifests);
  if (!study) return fail(study.error());
  if (clinical.empty() && source.empty())
    if (const auto values = invented_values(manifests); !values.empty()) clinical = clinical_values_json(values);

  auto pacs_port = free_port();
  if (!pacs_port) return fail(pacs_port.error());
  auto pacs = ChildProcess::start({"storescp", "--aetitle", "PACS", "--output-directory", (out / "pacs").string(), "--filename-extension", ".dcm", std::to_string(*pacs_port)},
                                  out / "pacs.log", {{"TCP_NODELAY", "1"}});
  if (!pacs) {
    Error error = pacs.error();
    if (error.code == ErrorCode::not_found) error.message += " The demo's PACS is DCMTK's storescp: apt-get install dcmtk.";
    return fail(error);
  }
  const fs::path state_dir = out / "node", settings_file = out / "choana.toml";
  if (auto written = write_demo_settings(settings_file, state_dir, packages, *pacs_port); !written) return fail(written.error());
  auto node = ChildProcess::start({(fs::read_symlink("/proc/self/exe").parent_path() / "choanad").string(), "--config", settings_file.string()}, out / "node.log");
  if (!node) return fail(node.error());

  std::uint16_t dicom_port = 0;
  for (int n = 0; n < 600 && dicom_port == 0; ++n) {
    if (!node->running()) return fail(ErrorCode::internal, "demo", "The node did not start; see " + (out / "node.log").string() + ".");
    if (auto ports = read_ports(state_dir / "ports.json")) dicom_port = ports->dicom;
    std::this_thread::sleep_for(milliseconds(50));
  }
  if (dicom_port == 0) return fail(ErrorCode::timed_out, "demo", "The node did not open its port within 30 seconds; see " + (out / "node.log").string() + ".");
  say("node CHOANA on 127.0.0.1:" + std::to_string(dicom_port) + ", loopback PACS on 127.0.0.1:" + std::to_string(*pacs_port));

  if (!clinical.empty())
    if (auto put = put_clinical(settings_file, study->patient_id, clinical, clinical_file.empty()); !put) return fail(put.error());

  const Stopwatch sending;
  if (auto sent = send_study(out / "study", dicom_port); !sent) return fail(sent.error());
  const double sent_s = sending.seconds();
  const Stopwatch waiting;
  auto awaited = wait_for_result(state_dir / "choana.db", study->study_instance_uid, *node);
  if (!awaited) return fail(awaited.error());
  const double waited_s = waiting.seconds();
  node->stop();
  pacs->stop();

  const auto result = nlohmann::json::parse(awaited->story.result_json, nullptr, false);
  if (!result.is_object()) {
    say("the study failed: " + awaited->story.study.reason_code + ": " + awaited->story.study.reason_text);
    std::printf("%-11s failed: %s: %s\n", "outcome", awaited->story.study.reason_code.c_str(), awaited->story.study.reason_text.c_str());
    return 1;
  }
  if (auto saved = write_file(out / "result.json", awaited->story.result_json); !saved) return fail(saved.error());
  std::error_code failed;
  for (auto entry = fs::recursive_directory_iterator(state_dir / "results", failed); !failed && entry != fs::recursive_directory_iterator(); entry.increment(failed))
    if (entry->path().extension() == ".png") fs::copy_file(entry->path(), out / "charts" / entry->path().filename(), fs::copy_options::overwrite_existing, failed);

  char times[128];
  std::snprintf(times, sizeof times, "sent in %.1f s; last result %.1f s after the last C-STORE", sent_s, waited_s);
  say(times);
  std::string steps;
  for (const auto& step : result.value("steps", nlohmann::json::array())) {
    const double seconds = step.value("seconds", 0.0);
    if (seconds < 0.05) continue;
    std::snprintf(times, sizeof times, "%s%s%s%s %.2f s", steps.empty() ? "" : ", ", step.value("name", "").c_str(), step.value("role", "").empty() ? "" : " ",
                  step.value("role", "").c_str(), seconds);
    steps += times;
  }
  say("of which the worker spent: " + steps);
  for (const auto& entry : fs::directory_iterator(out / "charts")) say("chart page: " + shown_path(entry.path()));
  const bool arrived = show(out, result);
  return arrived && result.at("outcome") == "reported" ? 0 : 1;
}

}  // namespace

int run_demo(int argc, char** argv) {
  CLI::App app{"Start the node and a loopback PACS, send a study by C-STORE, wait, show the result.", "choana demo"};
  std::string source, clinical, out = "demo-out";
  std::vector<std::string> packages;
  app.add_option("STUDY_FOLDER", source, "Folder of DICOM with one study (none: a synthetic five-sequence study with an RTSTRUCT)");
  app.add_option("--out", out, "Folder for study/, pacs/, charts/, result.json and node.log")->capture_default_str();
  app.add_option("--package", packages, "Model package: a name or a folder (repeatable). Without it: demo-npc-response for the synthetic study, radiomics only for yours")
      ->allow_extra_args(false);
  app.add_option("--clinical", clinical, "JSON file of clinical values, given to the node before the study. Without it: training means for the synthetic patient, none for yours");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : 2;
  }
  log::configure("error");
  if (packages.empty() && source.empty()) packages.emplace_back(default_package);
  try {
    auto code = demonstrate(source, out, packages, clinical);
    if (code) return *code;
    std::cerr << "choana demo: " << code.error().message << "\n";
    return code.error().code == ErrorCode::invalid_argument || code.error().code == ErrorCode::not_found ? 2 : 1;
  } catch (const std::exception& e) {
    std::cerr << "choana demo: " << e.what() << "\n";
    return 1;
  }
}

}  // namespace choana::node
