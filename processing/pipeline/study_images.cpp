#include "processing/pipeline/study_images.h"

#include <utility>

#include "processing/pipeline/series_alignment.h"

namespace choana::processing {

std::string preparation_text(const std::vector<PreparationStep>& steps) {
  std::string text = "[";
  for (const PreparationStep& step : steps) text += (text.size() > 1 ? "," : "") + std::string("{\"step\":\"") + step.step + "\",\"parameters\":" + step.parameters_json + "}";
  return text + "]";
}

std::size_t StudyImages::index(std::size_t measured, const std::string& package_role, const std::vector<PreparationStep>& preparation, const std::optional<VolumeGeometry>& grid,
                               const RigidTransform& grid_to_series) {
  StudyImage image;
  image.measured = measured;
  image.package_role = package_role;
  image.preparation = preparation;
  if (grid) {
    image.base = index(measured, package_role, preparation);
    image.grid = *grid;
    image.grid_to_series = grid_to_series;
  }
  for (std::size_t n = 0; n < images_.size(); ++n) {
    const StudyImage& other = images_[n];
    if (other.measured == measured && other.package_role == package_role && preparation_text(other.preparation) == preparation_text(preparation) && other.base == image.base &&
        (!grid || (other.grid == image.grid && other.grid_to_series.json() == grid_to_series.json())))
      return n;
  }
  images_.push_back(std::move(image));
  return images_.size() - 1;
}

void StudyImages::prepare_all(TaskPool* pool) {
  // Images on their own grids first, then those made of them.
  for (const bool derived : {false, true})
    run_tasks(pool, images_.size(), [&](std::size_t n) {
      if (images_[n].base.has_value() == derived) prepare_one(images_[n], pool);
    });
  for (StudyImage& image : images_)
    for (StepRecord& step : image.steps) log_.step(std::move(step));
}

void StudyImages::prepare_one(StudyImage& image, TaskPool* pool) const {
  const MeasuredSeries& series = findings_.measured[image.measured];
  if (image.base) {
    const StudyImage& base = images_[*image.base];
    if (base.error) {
      image.error = base.error;
      return;
    }
    const double started = log_.now_s();
    auto moved = moved_onto(base.volume, image.grid, image.grid_to_series);
    if (!moved) {
      image.error = moved.error();
      return;
    }
    image.volume = std::move(*moved);
    image.steps.push_back({"resample_onto", series.role, "{\"interpolator\":\"bspline\",\"transform\":" + image.grid_to_series.json() + "}", log_.now_s() - started});
    return;
  }
  image.volume = series.volume;
  for (const PreparationStep& step : image.preparation) {
    if (step.step == "register") continue;  // carried out where the regions were placed
    const double started = log_.now_s();
    auto prepared = prepare(image.volume, image.package_role, step.step, step.parameters_json, pool);
    if (!prepared) {
      image.error = prepared.error();
      return;
    }
    image.volume = std::move(prepared->volume);
    image.steps.push_back({step.step, series.role, prepared->record_json, log_.now_s() - started});
  }
}

}  // namespace choana::processing
