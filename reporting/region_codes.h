#pragma once

#include <string>
#include <string_view>

#include "core/coded_concept.h"

namespace choana::reporting {

/// What a region is, in the words of DICOM.
struct RegionCodes {
  CodedConcept finding;     // CID 9534; empty when the name says nothing
  CodedConcept site;        // anatomy; empty when not known
  CodedConcept laterality;  // CID 244; only of nodes
  CodedConcept category;    // CID 7150
  CodedConcept type;        // CID 7159, or (111099, DCM, "Selected region")
};

/// Read a region's name as radiotherapy writes it (GTVp, GTVnx, GTVnd_L, GTV_Mass, ...). The nasopharynx is named only
/// when the name says so, or when it says "primary" and body_part_examined (CS) does not contradict; else the site is
/// that of body_part_examined, or none. `stated_finding` (from a SEG) goes before the name.
[[nodiscard]] RegionCodes region_codes(std::string_view name, std::string_view body_part_examined, const CodedConcept& stated_finding = {});

/// Anatomy of a Body Part Examined term (PS3.16 Annex L); empty for terms we do not know.
[[nodiscard]] CodedConcept body_part_code(std::string_view body_part_examined);

/// Body Part Examined of a result object: the source's own when we know it as an unpaired part, or the unpaired part it
/// lies in (a paired one would demand a Laterality of pages that have none). Empty for terms we do not know.
[[nodiscard]] std::string body_part_term(std::string_view body_part_examined);

}  // namespace choana::reporting
