// Signature files, key ids and keys in PEM of strangers. Input: a key id or public key, a zero byte, SHA256SUMS.sig, a zero byte, SHA256SUMS; the whole
// also as a private key.
#include <cstdlib>
#include <string>
#include <string_view>

#include "processing/prediction/package_signature.h"
#include "tests/fuzz/seeds.h"

using namespace choana::processing;

namespace {
// RFC 8032, 7.1, test 1: the empty message. The key as RFC 8410 wraps it.
constexpr std::string_view key_id = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
constexpr std::string_view public_key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";
constexpr std::string_view private_key = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";
constexpr std::string_view signature_hex =
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b";
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  const std::size_t first = text.find('\0'), second = first == std::string_view::npos ? first : text.find('\0', first + 1);
  // A signature may hold zero bytes: its 64 bytes are taken whole where there are so many.
  const std::size_t end = first != std::string_view::npos && size - first > 64 ? first + 65 : second;
  PackageFiles files;
  files.content["manifest.yaml"] = "format: choana-model/1\nid: a\nintegrity: {sums: SHA256SUMS}\n";
  if (end != std::string_view::npos && end <= size) {
    files.content["SHA256SUMS.sig"] = std::string(text.substr(first + 1, end - first - 1));
    files.content["SHA256SUMS"] = std::string(text.substr(end));
    const auto status = check_signature(files, std::string(text.substr(0, first)));
    if (!status && status.error().message.empty()) std::abort();
    // Only the seed's key can have signed only the seed's (empty) text.
    if (status && !files.content["SHA256SUMS"].empty()) std::abort();
  }
  if (const auto id = key_id_of(text.substr(0, first)); id && !key_id_of(*id)) std::abort();
  if (const auto id = sign_package(files, text))
    if (!check_signature(files, *id)) std::abort();
  return 0;
}

std::vector<std::vector<std::uint8_t>> choana_fuzz_seeds() {
  std::string signature;
  for (std::size_t n = 0; n + 1 < signature_hex.size(); n += 2) signature += static_cast<char>(std::stoi(std::string(signature_hex.substr(n, 2)), nullptr, 16));
  std::vector<std::vector<std::uint8_t>> seeds;
  for (const std::string& seed : {std::string(key_id) + '\0' + signature, std::string(public_key) + '\0' + signature + "sums", std::string(private_key)}) seeds.emplace_back(seed.begin(), seed.end());
  return seeds;
}
