#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scp/upper_layer/presentation_context.h"

namespace choana::scp {

inline constexpr std::string_view verification_class = "1.2.840.10008.1.1";
inline constexpr std::string_view storage_commitment_push_class = "1.2.840.10008.1.20.1";
inline constexpr std::string_view rt_structure_set_class = "1.2.840.10008.5.1.4.1.1.481.3";
inline constexpr std::string_view segmentation_class = "1.2.840.10008.5.1.4.1.1.66.4";
inline constexpr std::string_view label_map_segmentation_class = "1.2.840.10008.5.1.4.1.1.66.7";

/// What an instance of this class is to a study: an MR image or a region drawn on it is input of the pipeline; the rest
/// is kept with its study and starts nothing.
[[nodiscard]] bool is_image_input(std::string_view sop_class_uid);
[[nodiscard]] bool is_region_input(std::string_view sop_class_uid);
/// Regions name the images they were drawn on; the scanner collects those names.
[[nodiscard]] inline bool collects_references(std::string_view sop_class_uid) { return is_region_input(sop_class_uid); }

/// Everything the acceptor answers for: verification, the storage classes of the pipeline and of its own results, more
/// classes of the site (`extra`, stored and kept), and storage commitment reports.
[[nodiscard]] std::vector<OfferedClass> offered_classes(const std::vector<std::string>& extra_sop_classes,
                                                        const std::vector<std::string>& extra_transfer_syntaxes);

}  // namespace choana::scp
