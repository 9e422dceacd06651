// The bounded scan that stands before DCMTK: any bytes end in a verdict, and what passes keeps the promised depth.
#include <cstdlib>

#include "dicom/preflight.h"
#include "tests/fuzz/dicom_file.h"
#include "tests/fuzz/seeds.h"
#include "tests/support/dicom_maker.h"

using namespace choana;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const test::MemoryFile file(data, size);
  dicom::PreflightLimits limits;
  limits.inflated_bytes_max = 16U << 20;
  const auto seen = dicom::preflight(file.path(), limits);
  if (seen && seen->depth > limits.depth_max) std::abort();
  if (!seen && (seen.error().message.empty() || seen.error().code == ErrorCode::internal)) std::abort();
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  const test::TemporaryFolder folder;
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const E_TransferSyntax syntax : {EXS_LittleEndianExplicit, EXS_LittleEndianImplicit, EXS_BigEndianExplicit, EXS_DeflatedLittleEndianExplicit}) {
    test::StructureSetFile set;
    set.add_roi(1, "GTVp");
    set.add_contour("CLOSED_PLANAR", "0\\0\\0\\1\\0\\0\\1\\1\\0");
    seeds.push_back(test::bytes_of(set.save(folder.path() / "set", syntax)));
  }
  auto bare = seeds.front();
  bare.erase(bare.begin(), bare.begin() + 132);  // meta information without preamble
  seeds.push_back(bare);
  return seeds;
}
