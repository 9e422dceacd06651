// harmonisation.json of a stranger's package: read or refused with a reason; what it makes of a value is a number, or nothing.
#include <cmath>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "processing/prediction/readers/combat_reader.h"
#include "tests/fuzz/seeds.h"

using namespace choana::processing;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  for (const UnknownSite unknown : {UnknownSite::refuse, UnknownSite::reference}) {
    const auto parameters = read_combat({reinterpret_cast<const char*>(data), size}, "fuzz", unknown);
    if (!parameters) {
      if (parameters.error().message.empty()) std::abort();
      continue;
    }
    const std::vector<double> covariates(parameters->covariates.size(), 1.5);
    for (const double x : {0.0, -1e30, 1e308}) {
      const auto harmonised = apply_combat(*parameters, "nowhere", std::vector<double>(parameters->features.size(), x), covariates);
      if (harmonised.has_value() && unknown == UnknownSite::refuse) std::abort();
      if (!harmonised) continue;
      for (const double value : *harmonised)
        if (!std::isfinite(value)) std::abort();
    }
    choana::AcquisitionFacts facts;
    facts.manufacturer = "SIEMENS";
    facts.field_strength_t = 3;
    (void)site_of(*parameters, facts);
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  constexpr std::string_view whole =
      R"({"format":"choana-combat/1","features":["a","b"],"alpha":[10,-2],"sigma2":[4,0.25],"covariates":[{"name":"age","beta":[0.1,0.01]}],)"
      R"("sites":[{"name":"A","match":[{"manufacturer":"SIEMENS","manufacturer_model_name":"Skyra","field_strength_t":3.0}],"gamma":[0.5,-1],"delta":[1.44,0.25]},)"
      R"({"name":"B","gamma":[-0.25,0.5],"delta":[0.81,4]}],"reference":"A","note":"seed"})";
  constexpr std::string_view extreme = R"({"format":"choana-combat/1","features":["a"],"alpha":[1e308],"sigma2":[5e-324],"sites":[{"name":"A","gamma":[-1e308],"delta":[5e-324]}],"reference":"A"})";
  constexpr std::string_view wrong = R"({"format":"choana-combat/1","features":["a"],"alpha":[1],"sigma2":[0],"sites":[]})";
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const std::string_view text : {whole, extreme, wrong}) seeds.emplace_back(text.begin(), text.end());
  return seeds;
}
