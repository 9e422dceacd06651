#include "processing/prediction/package_signature.h"

#include <algorithm>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <array>
#include <memory>

namespace choana::processing {
namespace {

struct FreeKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;

constexpr std::string_view prefix = "ed25519:";
constexpr std::size_t key_bytes = 32, signature_bytes = 64;

std::string to_base64(const unsigned char* data, std::size_t size) {
  std::string text(4 * ((size + 2) / 3) + 1, '\0');
  text.resize(static_cast<std::size_t>(EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()), data, static_cast<int>(size))));
  return text;
}

// 44 characters of base64, the last one '=': 32 bytes.
Key key_from_id(const std::string& id) {
  if (!id.starts_with(prefix) || id.size() != prefix.size() + 44 || id.back() != '=') return {};
  std::array<unsigned char, 33> raw{};
  if (EVP_DecodeBlock(raw.data(), reinterpret_cast<const unsigned char*>(id.data() + prefix.size()), 44) != 33) return {};
  return Key(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, raw.data(), key_bytes));
}

std::string id_of(EVP_PKEY* key) {
  std::array<unsigned char, key_bytes> raw{};
  std::size_t size = raw.size();
  if (key == nullptr || EVP_PKEY_base_id(key) != EVP_PKEY_ED25519 || EVP_PKEY_get_raw_public_key(key, raw.data(), &size) != 1 || size != key_bytes) return {};
  return std::string(prefix) + to_base64(raw.data(), raw.size());
}

int no_pass_phrase(char*, int, int, void*) { return 0; }  // never ask at the terminal

}  // namespace

Result<std::string> sign_package(PackageFiles& files, std::string_view private_key) {
  const std::unique_ptr<BIO, FreeBio> bio(BIO_new_mem_buf(private_key.data(), static_cast<int>(private_key.size())));
  const Key key(bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_pass_phrase, nullptr) : nullptr);
  const std::string id = id_of(key.get());
  if (id.empty()) return fail(ErrorCode::invalid_argument, "sign_package", "The key is not an Ed25519 private key in PEM without a pass phrase (openssl genpkey -algorithm ed25519 -out key.pem).");
  const auto manifest = files.content.find("manifest.yaml");
  if (manifest == files.content.end()) return fail(ErrorCode::invalid_package, "sign_package", "The package has no manifest.yaml.");
  std::string& text = manifest->second;
  const std::string line = "integrity: {sums: SHA256SUMS, signature: SHA256SUMS.sig, key_id: \"" + id + "\"}";
  const std::size_t at = text.starts_with("integrity:") ? 0 : text.find("\nintegrity:") == std::string::npos ? std::string::npos : text.find("\nintegrity:") + 1;
  if (at == std::string::npos) {
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    text += line + "\n";
  } else {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (text.substr(at, end - at).find('}') == std::string::npos)
      return fail(ErrorCode::invalid_package, "sign_package", "The manifest's 'integrity' is not written on one line; write it as 'integrity: {sums: SHA256SUMS}' and sign again.");
    text.replace(at, end - at, line);
  }
  seal(files);
  const std::string& sums = files.content.at("SHA256SUMS");
  std::string signature(signature_bytes, '\0');
  std::size_t size = signature.size();
  const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, reinterpret_cast<const unsigned char*>(sums.data()), sums.size()) != 1 ||
      size != signature_bytes)
    return fail(ErrorCode::internal, "sign_package", "The package could not be signed.");
  files.content["SHA256SUMS.sig"] = std::move(signature);
  return id;
}

Status check_signature(const PackageFiles& files, const std::string& stated_key) {
  const auto refuse = [](const std::string& sentence) { return fail(ErrorCode::invalid_package, "check_signature", sentence); };
  const std::string* signature = files.find("SHA256SUMS.sig");
  if (signature == nullptr) {
    if (stated_key.empty()) return {};
    return refuse("The package says that it is signed (integrity.key_id), but SHA256SUMS.sig is not there.");
  }
  if (stated_key.empty()) return refuse("The package holds SHA256SUMS.sig, but its manifest does not say by which key (integrity.key_id).");
  const Key key = key_from_id(stated_key);
  if (!key) return refuse("integrity.key_id in the manifest is not 'ed25519:' and a public key in base64.");
  const std::string* sums = files.find("SHA256SUMS");
  const std::unique_ptr<EVP_MD_CTX, FreeContext> context(EVP_MD_CTX_new());
  if (sums == nullptr || signature->size() != signature_bytes || !context || EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key.get()) != 1 ||
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature->data()), signature->size(), reinterpret_cast<const unsigned char*>(sums->data()), sums->size()) != 1)
    return refuse("The signature does not match: SHA256SUMS.sig was not made over this SHA256SUMS by the key that the manifest names.");
  return {};
}

Status check_trust(const std::string& key_id, const std::vector<std::string>& trusted) {
  if (trusted.empty() || std::find(trusted.begin(), trusted.end(), key_id) != trusted.end()) return {};
  return fail(ErrorCode::invalid_package, "check_signature",
              key_id.empty() ? "The package is not signed, and only packages of trusted keys are wanted." : "The package is signed by " + key_id + ", which is not a trusted key.");
}

Result<std::string> key_id_of(std::string_view public_key) {
  std::string text(public_key);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' ')) text.pop_back();
  if (key_from_id(text)) return text;
  const std::unique_ptr<BIO, FreeBio> bio(BIO_new_mem_buf(public_key.data(), static_cast<int>(public_key.size())));
  const Key key(bio ? PEM_read_bio_PUBKEY(bio.get(), nullptr, no_pass_phrase, nullptr) : nullptr);
  std::string id = id_of(key.get());
  if (id.empty()) return fail(ErrorCode::invalid_argument, "read_key", "The key is neither an Ed25519 public key in PEM nor a key id (ed25519:...).");
  return id;
}

}  // namespace choana::processing
