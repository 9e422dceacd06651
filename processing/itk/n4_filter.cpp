#include "processing/itk/n4_filter.h"

#include <itkBSplineControlPointImageFilter.h>
#include <itkCommand.h>
#include <itkImage.h>
#include <itkMultiThreaderBase.h>
#include <itkN4BiasFieldCorrectionImageFilter.h>
#include <itkOtsuThresholdImageFilter.h>
#include <itkShrinkImageFilter.h>

#include <algorithm>
#include <exception>
#include <new>
#include <string>

namespace choana::processing {
namespace {

using FloatImage = itk::Image<float, 3>;
using ByteImage = itk::Image<unsigned char, 3>;
using N4 = itk::N4BiasFieldCorrectionImageFilter<FloatImage, ByteImage, FloatImage>;

/// An image of this geometry, without voxels.
template <typename Image>
typename Image::Pointer grid_of(const VolumeGeometry& geometry) {
  auto image = Image::New();
  typename Image::SizeType size;
  typename Image::SpacingType spacing;
  typename Image::PointType origin;
  typename Image::DirectionType direction;
  for (unsigned axis = 0; axis < 3; ++axis) {
    size[axis] = static_cast<itk::SizeValueType>(geometry.size()[axis]);
    spacing[axis] = geometry.spacing_mm()[axis];
    origin[axis] = geometry.origin_mm()[axis];
    for (unsigned row = 0; row < 3; ++row) direction(row, axis) = geometry.direction()[3 * row + axis];
  }
  image->SetRegions(size);
  image->SetSpacing(spacing);
  image->SetOrigin(origin);
  image->SetDirection(direction);
  return image;
}

template <typename Image, typename T>
typename Image::Pointer to_itk(const VolumeGeometry& geometry, std::span<const T> values) {
  auto image = grid_of<Image>(geometry);
  image->Allocate();
  std::copy(values.begin(), values.end(), image->GetBufferPointer());
  return image;
}

template <typename Image>
typename Image::Pointer shrunk(const Image* image, const std::array<int, 3>& factors) {
  auto filter = itk::ShrinkImageFilter<Image, Image>::New();
  filter->SetInput(image);
  for (unsigned axis = 0; axis < 3; ++axis) filter->SetShrinkFactor(axis, static_cast<unsigned>(std::max(1, factors[axis])));
  filter->Update();
  return filter->GetOutput();
}

/// Notes iterations and convergence while N4 runs: afterwards only the last level could be asked.
class LevelObserver : public itk::Command {
 public:
  using Self = LevelObserver;
  using Pointer = itk::SmartPointer<Self>;
  itkNewMacro(Self)

  void Execute(itk::Object* caller, const itk::EventObject& event) override { Execute(static_cast<const itk::Object*>(caller), event); }
  void Execute(const itk::Object* caller, const itk::EventObject&) override {
    const auto* filter = dynamic_cast<const N4*>(caller);
    if (filter == nullptr) return;
    const auto level = static_cast<std::size_t>(filter->GetCurrentLevel());
    if (levels.size() <= level) levels.resize(level + 1);
    levels[level] = {static_cast<int>(filter->GetElapsedIterations()), static_cast<double>(filter->GetCurrentConvergenceMeasurement())};
  }

  std::vector<BiasFieldLevel> levels;
};

template <typename Action>
auto guarded(Action&& action) -> decltype(action()) {
  try {
    return action();
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::out_of_memory, "n4", "There is not enough memory for the bias field correction.");
  } catch (const itk::ExceptionObject& error) {
    return fail(ErrorCode::internal, "n4", std::string("The bias field correction failed: ") + error.GetDescription());
  } catch (const std::exception& error) {
    return fail(ErrorCode::internal, "n4", std::string("The bias field correction failed: ") + error.what());
  }
}

}  // namespace

Result<N4Run> run_itk_n4(const VolumeGeometry& geometry, std::span<const float> voxels, std::span<const std::uint8_t> mask, const N4Parameters& parameters,
                         int threads, std::span<const float> confidence) {
  return guarded([&]() -> Result<N4Run> {
    // SetGlobalMaximumNumberOfThreads would make ITK 5.2.1's N4 drop points without a word.
    itk::MultiThreaderBase::SetGlobalDefaultNumberOfThreads(static_cast<itk::ThreadIdType>(std::max(1, threads)));
    const auto image = to_itk<FloatImage>(geometry, voxels);
    const auto region = to_itk<ByteImage>(geometry, mask);
    auto n4 = N4::New();
    n4->SetInput(shrunk<FloatImage>(image, parameters.shrink));
    n4->SetMaskImage(shrunk<ByteImage>(region, parameters.shrink));
    if (!confidence.empty()) n4->SetConfidenceImage(shrunk<FloatImage>(to_itk<FloatImage>(geometry, confidence), parameters.shrink));
    N4::VariableSizeArrayType iterations(static_cast<unsigned>(parameters.iterations.size()));
    for (unsigned level = 0; level < iterations.Size(); ++level) iterations[level] = static_cast<unsigned>(parameters.iterations[level]);
    n4->SetMaximumNumberOfIterations(iterations);
    N4::ArrayType fitting_levels;
    fitting_levels.Fill(iterations.Size());
    n4->SetNumberOfFittingLevels(fitting_levels);
    n4->SetConvergenceThreshold(static_cast<float>(parameters.convergence_threshold));
    n4->SetBiasFieldFullWidthAtHalfMaximum(static_cast<float>(parameters.full_width_at_half_maximum));
    n4->SetWienerFilterNoise(static_cast<float>(parameters.wiener_noise));
    n4->SetNumberOfHistogramBins(static_cast<unsigned>(parameters.histogram_bins));
    N4::ArrayType control_points;
    for (unsigned axis = 0; axis < 3; ++axis) control_points[axis] = static_cast<unsigned>(parameters.control_points[axis]);
    n4->SetNumberOfControlPoints(control_points);
    n4->SetSplineOrder(static_cast<unsigned>(parameters.spline_order));
    const auto observer = LevelObserver::New();
    n4->AddObserver(itk::IterationEvent(), observer);
    n4->Update();

    using Lattice = N4::BiasFieldControlPointLatticeType;
    auto spline = itk::BSplineControlPointImageFilter<Lattice, N4::ScalarImageType>::New();
    spline->SetInput(n4->GetLogBiasFieldControlPointLattice());
    spline->SetSplineOrder(static_cast<unsigned>(parameters.spline_order));
    spline->SetSize(image->GetLargestPossibleRegion().GetSize());
    spline->SetDirection(image->GetDirection());
    spline->SetOrigin(image->GetOrigin());
    spline->SetSpacing(image->GetSpacing());
    spline->Update();
    N4Run run;
    run.levels = observer->levels;
    run.log_field.reserve(voxels.size());
    const auto* field = spline->GetOutput()->GetBufferPointer();
    for (std::size_t at = 0; at < voxels.size(); ++at) run.log_field.push_back(field[at][0]);
    return run;
  });
}

Result<Index3> itk_shrink_offset(const VolumeGeometry& geometry, const std::array<int, 3>& factors) {
  return guarded([&]() -> Result<Index3> {
    const auto image = grid_of<ByteImage>(geometry);
    auto filter = itk::ShrinkImageFilter<ByteImage, ByteImage>::New();
    filter->SetInput(image);
    for (unsigned axis = 0; axis < 3; ++axis) filter->SetShrinkFactor(axis, static_cast<unsigned>(std::max(1, factors[axis])));
    filter->UpdateOutputInformation();
    // As the filter does when it samples.
    ByteImage::PointType first;
    filter->GetOutput()->TransformIndexToPhysicalPoint(filter->GetOutput()->GetLargestPossibleRegion().GetIndex(), first);
    const auto index = image->TransformPhysicalPointToIndex(first);
    Index3 offset;
    for (unsigned axis = 0; axis < 3; ++axis) offset[axis] = static_cast<int>(std::max<itk::IndexValueType>(0, index[axis]));
    return offset;
  });
}

Result<std::vector<std::uint8_t>> otsu_mask(const VolumeGeometry& geometry, std::span<const float> voxels, int bins) {
  return guarded([&]() -> Result<std::vector<std::uint8_t>> {
    auto filter = itk::OtsuThresholdImageFilter<FloatImage, ByteImage>::New();
    filter->SetInput(to_itk<FloatImage>(geometry, voxels));
    filter->SetInsideValue(0);
    filter->SetOutsideValue(1);
    filter->SetNumberOfHistogramBins(static_cast<unsigned>(bins));
    filter->Update();
    const auto* values = filter->GetOutput()->GetBufferPointer();
    return std::vector<std::uint8_t>(values, values + voxels.size());
  });
}

}  // namespace choana::processing
