#include "node/commands/extract/runner.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <iostream>
#include <mutex>

#include "core/sha256.h"
#include "node/commands/extract/case_inputs.h"
#include "node/commands/extract/details.h"
#include "node/commands/extract/ibsi_rows.h"
#include "node/commands/extract/saved_files.h"
#include "processing/radiomics/diagnostics.h"
#include "processing/radiomics/feature_extractor.h"

namespace choana::node::extract {
namespace {

namespace fs = std::filesystem;
using processing::ExtractionResult;
using processing::MaskVolume;

constexpr std::size_t components_max = 1000;

// -- interruption --

std::atomic<bool> interrupted{false};  // the one thing a signal handler may touch
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_interrupt(int signal_number) {
  interrupted = true;
  std::signal(signal_number, SIG_DFL);  // the second time it ends the program
}

class InterruptGuard {
 public:
  InterruptGuard() : before_{std::signal(SIGINT, on_interrupt), std::signal(SIGTERM, on_interrupt)} { interrupted = false; }
  ~InterruptGuard() {
    std::signal(SIGINT, before_[0] == SIG_ERR ? SIG_DFL : before_[0]);
    std::signal(SIGTERM, before_[1] == SIG_ERR ? SIG_DFL : before_[1]);
  }
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

 private:
  std::array<void (*)(int), 2> before_;
};

// -- one case --

std::string place(const Case& one) { return "case " + std::to_string(one.number); }

void set_cell(std::vector<Cell>& cells, const std::string& name, const std::string& text) {
  for (Cell& cell : cells)
    if (cell.name == name) {
      cell.text = text;
      return;
    }
  cells.push_back({name, text});
}

std::vector<Cell> carried(const Case& one) {
  std::vector<Cell> cells;
  for (const auto& [name, value] : one.columns) cells.push_back({name, value});
  return cells;
}

void add_values(const ExtractionResult& result, std::vector<Cell>& cells) {
  for (const auto& diagnostic : result.diagnostics) cells.push_back({diagnostic.name, diagnostic.text, Cell::Kind::json, diagnostic.json});
  for (const FeatureValue& feature : result.features.values()) {
    if (feature.computed()) cells.push_back({feature.id.str(), processing::python_text(feature.number()), Cell::Kind::number});
    else cells.push_back({feature.id.str(), "nan", Cell::Kind::not_a_number});
  }
}

/// The rows of one region: the whole, then its parts.
struct RegionResult {
  std::vector<Row> rows;
  bool failed = false;
};

RegionResult run_region(const Case& one, const CaseInputs& inputs, const Region& region, const Plan& plan, TaskPool* pool, Messages& messages) {
  RegionResult done;
  RowFacts facts;
  facts.one = &one;
  facts.roi = region.roi;
  facts.label = region.label;
  facts.notes = inputs.notes;
  // pyradiomics hands the channel of the table over as a setting of the case.
  processing::ExtractionProfile profile = plan.profile;
  if (one.label_channel && !inputs.roi_column && !plan.ibsi) (void)processing::override_setting(profile, "label_channel", std::to_string(*one.label_channel));
  std::string where = place(one);
  if (inputs.roi_column) where += ", region '" + region.roi + "'";
  else if (inputs.label_column) where += ", label " + region.label;
  const auto base = [&](const std::string& component) {
    std::vector<Cell> cells = carried(one);
    if (inputs.roi_column) set_cell(cells, "ROI", region.roi);
    if (inputs.label_column) set_cell(cells, "Label", region.label);
    if (plan.components) set_cell(cells, "Component", component);
    return cells;
  };
  const auto say = [&](const std::string& component, const auto& result) {
    if (result) {
      for (const std::string& note : result->notes) messages.say(Level::info, where, note);
      return;
    }
    // A part that is a speck is no failure of the case; a region that cannot be measured is.
    const bool speck = !component.empty() && (result.error().code == ErrorCode::roi_too_small || result.error().code == ErrorCode::roi_empty);
    done.failed = done.failed || !speck;
    messages.say(speck ? Level::info : Level::error, component.empty() ? where : where + ", part " + component, result.error().message);
  };
  const auto measure = [&](const MaskVolume& mask, int label, const std::string& component) {
    facts.component = component;
    Row row{base(component), {}};
    if (plan.ibsi) {
      const auto result = processing::ibsi::extract_ibsi_features(*inputs.image, mask, label, *plan.ibsi, pool);
      if (result) {
        const Vector3& before = inputs.image->geometry.spacing_mm();
        const Vector3& after = result->grid_spacing_mm;
        facts.interpolation_ratio = {before[0] / after[0], before[1] / after[1], before[2] / after[2]};
      }
      say(component, result);
      if (result)
        for (Cell& cell : ibsi_cells(*result)) row.cells.push_back(std::move(cell));
      if (plan.details) row.details = ibsi_details_json(facts, plan, result);
    } else {
      const std::string stem = file_stem(one.number, inputs.roi_column ? region.roi : "", inputs.label_column ? region.label : "", component);
      facts.interpolation_ratio = interpolation_ratio(mask, label, profile.settings);
      facts.files.clear();
      Result<ExtractionResult> result = fail(ErrorCode::internal, "extract", "");
      if (plan.voxel_maps) {
        auto maps = save_maps(*inputs.image, mask, label, profile, plan.maps_folder, stem, pool);
        if (maps) {
          row.cells.insert(row.cells.end(), std::make_move_iterator(maps->cells.begin()), std::make_move_iterator(maps->cells.end()));
          facts.files = std::move(maps->files);
          result = std::move(maps->summary);
        } else {
          result = fail(maps.error());
        }
      } else {
        result = processing::extract_features(*inputs.image, mask, label, profile, pool);
        if (result) add_values(*result, row.cells);
      }
      say(component, result);
      if (result && !plan.images_folder.empty()) {
        auto saved = save_images(*inputs.image, mask, label, profile, plan.images_folder, stem, pool);
        if (saved) {
          facts.files.insert(facts.files.end(), saved->begin(), saved->end());
        } else {
          done.failed = true;
          messages.say(Level::error, where, "The images of --save-images are not there: " + saved.error().message);
        }
      }
      if (plan.details) row.details = details_json(facts, plan, result);
    }
    done.rows.push_back(std::move(row));
  };
  const auto mask = region.mask(facts.ledger);
  if (!mask) {
    done.failed = true;
    messages.say(Level::error, where, mask.error().message);
    Row row{base(""), {}};
    if (plan.details) row.details = details_json(facts, plan, fail(mask.error()));
    done.rows.push_back(std::move(row));
    return done;
  }
  if (facts.ledger)
    for (const std::string& note : facts.ledger->notes) messages.say(Level::info, where, note);
  measure(**mask, region.value, "");
  if (!plan.components) return done;
  MaskVolume parts;
  const std::size_t count = split_components(**mask, region.value, components_max, parts);
  if (count > components_max)
    messages.say(Level::warning, where, "The region has " + std::to_string(count) + " separate parts; the largest 1,000 have rows.");
  for (std::size_t part = 1; part <= std::min(count, components_max); ++part) measure(parts, static_cast<int>(part), std::to_string(part));
  return done;
}

CaseResult failed_case(const Case& one, const Plan& plan, const Error& error, Messages& messages) {
  messages.say(Level::error, place(one), error.message);
  CaseResult result;
  result.failed = true;
  Row row{carried(one), {}};
  if (plan.details) {
    RowFacts facts;
    facts.one = &one;
    for (const std::string& roi : one.rois) facts.roi += (facts.roi.empty() ? "" : ", ") + roi;
    row.details = details_json(facts, plan, fail(error));
  }
  result.rows.push_back(std::move(row));
  return result;
}

// -- the batch --

// What a case asks for; with a folder of numbered files its number too.
std::string source_of(const Case& one, bool numbered) {
  Sha256 all;
  for (const auto& [name, value] : one.columns) all.update(name + "\x1f" + value + "\x1e");
  for (const std::string& roi : one.rois) all.update("roi\x1f" + roi + "\x1e");
  all.update("series\x1f" + one.series + "\x1evolume\x1f" + one.volume + "\x1e" + fs::absolute(one.image).string() + "\x1f" + fs::absolute(one.mask).string());
  if (numbered) all.update("\x1e" + std::to_string(one.number));
  return all.hex_digest();
}

std::string content_of(const Case& one) {
  const auto image = content_digest(one.image);
  const auto mask = one.mask == one.image ? image : content_digest(one.mask);
  if (!image || !mask) return {};
  return sha256_hex(*image + *mask);
}

fs::path case_file(const Options& options, const Case& one) {
  if (options.out_dir.empty() || options.mode == "voxel") return {};
  return fs::path(options.out_dir) / ("features_" + std::to_string(one.number) + ".csv");
}

bool starts_table_in(const fs::path& folder) {
  std::error_code problem;
  for (auto entry = fs::directory_iterator(folder, problem); !problem && entry != fs::directory_iterator(); entry.increment(problem)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with("features_") && name.ends_with(".csv")) return true;
  }
  return false;
}

}  // namespace

CaseResult run_case(const Case& one, const Plan& plan, const Options&, TaskPool* pool, Messages& messages) {
  try {
    if (one.problem) return failed_case(one, plan, *one.problem, messages);
    const auto inputs = load_case(one, plan.labels, plan.profile.settings.label_channel, plan.union_of_labels);
    if (!inputs) return failed_case(one, plan, inputs.error(), messages);
    for (const std::string& note : inputs->notes) messages.say(Level::info, place(one), note);
    std::vector<RegionResult> regions(inputs->regions.size());
    run_tasks(pool, regions.size(), [&](std::size_t n) { regions[n] = run_region(one, *inputs, inputs->regions[n], plan, pool, messages); });
    CaseResult result;
    for (RegionResult& region : regions) {
      result.failed = result.failed || region.failed;
      std::move(region.rows.begin(), region.rows.end(), std::back_inserter(result.rows));
    }
    return result;
  } catch (const std::bad_alloc&) {
    return failed_case(one, plan, Error{ErrorCode::out_of_memory, "extract", "There is not enough memory for this case; use fewer --jobs or a coarser resampledPixelSpacing.", ""}, messages);
  } catch (const std::exception&) {
    return failed_case(one, plan, Error{ErrorCode::internal, "extract", "The case could not be computed because of an internal error.", ""}, messages);
  }
}

int run_batch(const Batch& batch, const Plan& plan, const Options& options, Messages& messages) {
  const auto refuse = [&](const Error& error) {
    messages.say(Level::critical, "", error.message);
    return error.code == ErrorCode::invalid_settings ? 2 : 1;
  };
  std::error_code problem;
  for (const std::string& folder : {options.out_dir, options.save_images}) {
    if (folder.empty()) continue;
    fs::create_directories(folder, problem);
    if (problem) return refuse({ErrorCode::invalid_settings, "extract", "The folder " + folder + " cannot be made: " + problem.message() + ".", ""});
  }
  // Where a run can be continued, its finished cases lie beside the output.
  fs::path record;
  if (options.is_batch()) {
    if (!options.out_dir.empty()) record = fs::path(options.out_dir) / "extract.journal";
    else if (!options.out.empty() && (!fs::exists(options.out, problem) || fs::is_regular_file(options.out, problem))) record = options.out + ".journal";
  }
  const bool appended = !options.out.empty() && fs::is_regular_file(options.out, problem);
  const std::size_t table_start = appended ? static_cast<std::size_t>(fs::file_size(options.out, problem)) : 0;
  if (options.resume && !fs::exists(record, problem) && (table_start > 0 || (!options.out_dir.empty() && starts_table_in(options.out_dir))))
    return refuse({ErrorCode::invalid_settings, "resume",
                   "There are results, but no record of the settings that made them (" + record.string() +
                       "): they cannot be continued. Name another output, or leave out --resume to compute everything anew.", ""});
  auto opened = CaseJournal::open(record, options.resume, plan.canonical, table_start);
  if (!opened) return refuse(opened.error());
  CaseJournal journal = std::move(*opened);

  const bool numbered = !options.out_dir.empty() || options.mode == "voxel";
  std::vector<std::string> sources(batch.cases.size());
  for (std::size_t n = 0; n < batch.cases.size(); ++n) sources[n] = source_of(batch.cases[n], numbered);
  enum class State : char { open, done, failed, lost };
  std::vector<State> states(batch.cases.size(), State::open);
  std::mutex shared;  // journal and counts
  std::size_t computed = 0, kept = 0;
  bool wrote_all = true;
  const auto started = std::chrono::steady_clock::now();
  const auto show = [&] {
    messages.progress(computed, kept, batch.cases.size(), std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count());
  };

  const auto is_finished = [&](std::size_t n) {
    const Case& one = batch.cases[n];
    std::optional<CaseJournal::Entry> entry;
    {
      const std::lock_guard lock(shared);
      if (const CaseJournal::Entry* found = journal.find(sources[n])) entry = *found;
    }
    if (!entry || entry->failed || (plan.details && !entry->has_details)) return false;
    if (const fs::path file = case_file(options, one); !file.empty() && !fs::exists(file)) return false;
    const std::string content = content_of(one);
    if (content.empty()) {
      messages.say(Level::warning, place(one), "The result of the earlier run is kept, but its image or mask is not there any more to compare with.");
      return true;
    }
    if (content == entry->content) return true;
    messages.say(Level::warning, place(one), "Its image or mask changed since the earlier run: it is computed anew.");
    return false;
  };

  const InterruptGuard guard;
  TaskPool pool(options.jobs);
  pool.run(batch.cases.size(), [&](std::size_t n) {
    if (interrupted) return;
    const Case& one = batch.cases[n];
    if (options.resume && is_finished(n)) {
      const std::lock_guard lock(shared);
      states[n] = State::done;
      ++kept;
      return show();
    }
    messages.say(Level::info, place(one), "started");
    CaseResult result = run_case(one, plan, options, &pool, messages);
    const std::string content = record.empty() ? std::string() : content_of(one);
    Status written{};
    if (const fs::path file = case_file(options, one); !file.empty()) {
      if (!result.failed) written = replace_file(file, 0, [&](std::ostream& out) -> Status { return out << case_csv(result), Status{}; });
      else fs::remove(file, problem);  // of an earlier run: it would look like this one's
    }
    const std::lock_guard lock(shared);
    if (written) written = journal.add(sources[n], content, result);
    if (!written) {
      messages.say(Level::critical, place(one), written.error().message);
      wrote_all = false;
      states[n] = State::lost;
      interrupted = true;  // a full disk does not get better
      return;
    }
    states[n] = result.failed ? State::failed : State::done;
    ++computed;
    show();
  });
  messages.end_progress();

  std::vector<const CaseJournal::Entry*> entries;
  std::size_t failures = 0, missing = 0;
  for (std::size_t n = 0; n < batch.cases.size(); ++n) {
    if (states[n] == State::open || states[n] == State::lost) {
      ++missing;
      continue;
    }
    failures += states[n] == State::failed ? 1 : 0;
    entries.push_back(journal.find(sources[n]));
  }
  TableStyle style{options.format, options.format_path, options.skip_nans, fs::current_path()};
  if (options.is_batch()) style.start = fs::absolute(options.input).parent_path().lexically_normal();
  const auto print = [&](std::ostream& out) { return print_table(journal, entries, style, out); };
  const Status printed = options.out.empty() ? print(std::cout) : entries.empty() ? Status{} : replace_file(options.out, journal.table_start(), print);
  if (!printed) return refuse(printed.error());
  if (plan.details) {
    const Status said = replace_file(options.details, 0, [&](std::ostream& out) -> Status {
      for (const CaseJournal::Entry* entry : entries) {
        auto result = journal.read(*entry);
        if (!result) return fail(result.error());
        for (const Row& row : result->rows) out << row.details << "\n";
      }
      return {};
    });
    if (!said) return refuse(said.error());
  }
  if (missing > 0) {
    messages.say(Level::critical, "", std::string(wrote_all ? "interrupted" : "stopped") + ": " + std::to_string(entries.size()) + " of " + std::to_string(batch.cases.size()) + " cases are finished" +
                                          (record.empty() ? "." : "; --resume goes on."));
    return 1;
  }
  if (failures > 0 && batch.cases.size() > 1)
    messages.say(Level::error, "", std::to_string(failures) + " of " + std::to_string(batch.cases.size()) + " cases have a region without values; the reasons stand above" +
                                       (plan.details ? " and in the details." : "."));
  return failures > 0 ? 1 : 0;
}

}  // namespace choana::node::extract
