#pragma once

#include <filesystem>

#include "core/result.h"
#include "processing/radiomics/image.h"

namespace choana::processing {

/// Read a scalar image from NRRD (.nrrd .nhdr), NIfTI (.nii .nii.gz .hdr .img) or MetaImage (.mha .mhd). Geometry in LPS and mm; the pixel type is
/// kept, 64-bit integers become int32 where they fit and float64 otherwise. A 2-D image becomes one slice.
/// Errors: not_found, io_error (unreadable or truncated), invalid_attribute (malformed header, several components, not 2-D or 3-D),
/// geometry_mismatch (axes not perpendicular), limit_exceeded (more than 8 GiB, or more than the file can hold).
[[nodiscard]] Result<ScalarVolume> read_image_file(const std::filesystem::path& path);

/// Read a label map from the same formats; floating values are truncated. channel: component of a vector mask.
/// Errors: as above; invalid_argument (no such channel), invalid_attribute (a label below 0 or above 2^32 - 1).
[[nodiscard]] Result<MaskVolume> read_mask_file(const std::filesystem::path& path, int channel = 0);

/// Write an image in its pixel type, compressed where the format can; the name decides the format. Errors: io_error, invalid_argument (unknown format).
[[nodiscard]] Status write_image_file(const ScalarVolume& image, const std::filesystem::path& path);

/// Write a label map as uint32. Errors: as above.
[[nodiscard]] Status write_mask_file(const MaskVolume& mask, const std::filesystem::path& path);

}  // namespace choana::processing
