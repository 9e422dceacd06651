#pragma once

#include <string>

#include "core/region_of_interest.h"
#include "core/result.h"
#include "processing/roi/roi_builder.h"

/// Wording and checks that the makers of regions share.
namespace choana::processing {

/// "1 contour is", "3 contours are".
std::string counted(int count, const char* one, const char* many);
/// "12.5 %".
std::string percent(double fraction);
/// Three significant decimals, such as "364.902".
std::string decimal(double value);

/// Errors: geometry_mismatch when both name a frame of reference and they differ, unless the settings accept it.
Status check_frame_of_reference(const std::string& roi_frame, const VolumeGeometry& geometry, const std::string& roi_name, const char* step,
                                const RoiSettings& settings);
/// Say it in the ledger when there is nothing to compare, or when a difference was accepted.
void note_missing_frame_of_reference(const std::string& roi_frame, const VolumeGeometry& geometry, RoiOrigin& origin);

}  // namespace choana::processing
