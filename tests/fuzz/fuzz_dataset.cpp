// First octet: transfer syntax and size of the pieces. Whole or in pieces, a data set is judged alike; what is walked
// to its end keeps every promise of the scanner.
#include <cstdlib>
#include <string>

#include "scp/dataset_scanner.h"
#include "scp/upper_layer/presentation_context.h"
#include "tests/fuzz/seeds.h"
#include "tests/support/data_set_bytes.h"

using namespace choana;
using namespace choana::scp;

namespace {

constexpr std::string_view syntaxes[] = {explicit_little_endian, implicit_little_endian, explicit_big_endian, deflated_little_endian};

struct Verdict {
  bool walked = false;
  ReceivedInstance instance;
};

Verdict scan(std::string_view syntax, ByteView bytes, std::size_t piece) {
  ScannerLimits limits;
  limits.bytes_max = 4 * 1024 * 1024;
  limits.references_max = 8;
  limits.collect_references = true;
  DatasetScanner scanner(syntax, limits);
  Verdict verdict;
  bool ok = true;
  while (ok && !bytes.empty()) {
    const auto part = bytes.first(std::min(piece, bytes.size()));
    bytes = bytes.subspan(part.size());
    ok = scanner.feed(part).has_value();
  }
  verdict.walked = scanner.finish().has_value() && ok;
  scanner.describe(verdict.instance);
  if (verdict.instance.referenced_sop_instance_uids.size() > limits.references_max) std::abort();
  return verdict;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::string_view syntax = syntaxes[data[0] % 4];
  const ByteView bytes(data + 1, size - 1);
  const Verdict whole = scan(syntax, bytes, bytes.size() + 1);
  const Verdict pieces = scan(syntax, bytes, 1U + (data[0] >> 2));
  if (whole.walked != pieces.walked) std::abort();
  if (whole.walked && (whole.instance.sop_instance_uid != pieces.instance.sop_instance_uid ||
                       whole.instance.referenced_sop_instance_uids != pieces.instance.referenced_sop_instance_uids)) {
    std::abort();
  }
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  using choana::test::DataSetBytes;
  using choana::test::Encoding;
  std::vector<std::vector<std::uint8_t>> seeds;
  const auto add = [&seeds](std::uint8_t which, const Bytes& bytes) {
    Bytes seed{which};
    seed.insert(seed.end(), bytes.begin(), bytes.end());
    seeds.push_back(seed);
  };
  add(0, choana::test::mr_image({}, 64));
  add(1, choana::test::mr_image({}, 64, Encoding::implicit_little));
  add(2, choana::test::mr_image({}, 64, Encoding::explicit_big));
  const auto references = [](Encoding encoding) {
    auto set = choana::test::mr_head({"1.2.840.10008.5.1.4.1.1.481.3", "1.2.3.5", "1.2.3.6", "1.2.3.7"}, encoding);
    set.head(0x30060010, "SQ", 0xFFFFFFFF).item().head(0x30060012, "SQ", 0xFFFFFFFF).item().head(0x30060014, "SQ", 0xFFFFFFFF).item();
    set.head(0x30060016, "SQ", 0xFFFFFFFF).item().text(0x00081155, "UI", "1.2.3.4").end_item().end_sequence();
    return set.end_item().end_sequence().end_item().end_sequence().end_item().end_sequence().bytes();
  };
  add(0, references(Encoding::explicit_little));
  add(1, references(Encoding::implicit_little));
  add(4, choana::test::mr_head().head(0x7FE00010, "OB", 0xFFFFFFFF).item(0).item(4).raw("abcd").end_sequence().bytes());
  add(0, choana::test::mr_head().head(0x00291010, "UN", 0xFFFFFFFF).raw(DataSetBytes(Encoding::implicit_little).item().text(0x00091002, "", "ab").end_item().end_sequence().bytes()).bytes());
  add(0, choana::test::mr_head().text(0x00190010, "LO", "SIEMENS MR HEADER").text(0x0019100C, "IS", "800").text(0x00430010, "LO", "GEMS_PARM_01").text(0x00431039, "IS", "1000000800\\8").bytes());
  add(3, {0x03, 0x00});
  return seeds;
}
