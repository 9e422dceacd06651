#include "processing/prediction/package_archive.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <zip.h>

#include <functional>

#include "processing/prediction/model_package.h"
#include "processing/prediction/package_signature.h"
#include "tests/unit/processing/prediction/package_copy.h"

namespace choana::processing {
namespace {

using test::PackageCopy;

std::filesystem::path scratch(const std::string& name) {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  const auto path = std::filesystem::path(testing::TempDir()) / (std::string("choana-zip-") + info->name() + "-" + name);
  std::filesystem::remove_all(path);
  return path;
}

std::string read_all(const std::filesystem::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Adds one entry as it is told to, whatever a package may hold.
void add_entry(const std::filesystem::path& file, const std::string& name, const std::string& content, mode_t kind = 0) {
  int code = 0;
  zip_t* archive = zip_open(file.c_str(), ZIP_CREATE, &code);
  ASSERT_NE(archive, nullptr);
  const auto index = zip_file_add(archive, name.c_str(), zip_source_buffer(archive, content.data(), content.size(), 0), ZIP_FL_ENC_UTF_8);
  ASSERT_GE(index, 0);
  if (kind != 0) zip_file_set_external_attributes(archive, static_cast<zip_uint64_t>(index), 0, ZIP_OPSYS_UNIX, static_cast<zip_uint32_t>(kind | 0644) << 16U);
  ASSERT_EQ(zip_close(archive), 0);
}

/// A new Ed25519 key, PEM.
std::string new_key() {
  EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  std::string pem(data, static_cast<std::size_t>(size));
  BIO_free(bio);
  EVP_PKEY_free(key);
  return pem;
}

TEST(PackageArchive, IsAdmittedLikeItsFolderAndHasTheSameBytesEachTime) {
  const PackageCopy copy;
  const auto files = read_package_files(copy.folder());
  ASSERT_TRUE(files);
  const auto one = scratch("one.zip"), two = scratch("two.zip");
  ASSERT_TRUE(write_package_archive(*files, one));
  ASSERT_TRUE(write_package_archive(*files, two));
  EXPECT_EQ(read_all(one), read_all(two));
  const auto package = ModelPackage::load(one);
  ASSERT_TRUE(package) << package.error().message;
  EXPECT_EQ(package->sha256(), ModelPackage::load(copy.folder())->sha256());
}

TEST(PackageArchive, MayHaveOneFolderAroundEverything) {
  const PackageCopy copy;
  auto files = *read_package_files(copy.folder());
  PackageFiles wrapped;
  for (const auto& [path, content] : files.content) wrapped.content["my-package/" + path] = content;
  const auto file = scratch("wrapped.zip");
  ASSERT_TRUE(write_package_archive(wrapped, file));
  EXPECT_TRUE(ModelPackage::load(file));
}

struct TamperedArchive {
  const char* what;
  std::function<void(const std::filesystem::path&)> change;
  const char* said;
};

TEST(PackageArchive, IsRefusedWhereItWasTamperedWith) {
  const std::vector<TamperedArchive> cases{
      {"a path out of the zip", [](const auto& f) { add_entry(f, "../evil.yaml", "x"); }, "leads out of it"},
      {"an absolute path", [](const auto& f) { add_entry(f, "/etc/evil", "x"); }, "leads out of it"},
      {"a path with .. inside", [](const auto& f) { add_entry(f, "model/../../evil", "x"); }, "leads out of it"},
      {"a hidden file", [](const auto& f) { add_entry(f, ".hidden", "x"); }, "hidden"},
      {"a backslash path", [](const auto& f) { add_entry(f, "..\\evil", "x"); }, "leads out of it"},
      {"a link", [](const auto& f) { add_entry(f, "model/link", "/etc/passwd", S_IFLNK); }, "is a link"},
      {"a device", [](const auto& f) { add_entry(f, "model/device", "", S_IFCHR); }, "not a plain file"},
      {"a zip bomb", [](const auto& f) { add_entry(f, "model/bomb", std::string(std::size_t{64} << 20U, '\0')); }, "unpacks to far more"},
      {"an extra file", [](const auto& f) { add_entry(f, "model/extra.json", "{}"); }, "does not list"},
      {"folders too deep", [](const auto& f) { add_entry(f, "a/b/c/d/e/f/g.txt", "x"); }, "nested too deeply"},
      {"half of it", [](const auto& f) { std::filesystem::resize_file(f, std::filesystem::file_size(f) / 2); }, "whole zip file"},
      {"a byte changed", [](const auto& f) {
         std::string bytes = read_all(f);
         bytes[bytes.size() / 3] = static_cast<char>(bytes[bytes.size() / 3] ^ 0x5A);
         std::ofstream(f, std::ios::binary) << bytes;
       }, ""},
      {"no zip at all", [](const auto& f) { std::ofstream(f, std::ios::binary) << "hello"; }, "whole zip file"}};
  for (const TamperedArchive& tampered : cases) {
    SCOPED_TRACE(tampered.what);
    const PackageCopy copy;
    const auto file = scratch("tampered.zip");
    ASSERT_TRUE(write_package_archive(*read_package_files(copy.folder()), file));
    tampered.change(file);
    const auto package = ModelPackage::load(file);
    ASSERT_FALSE(package);
    EXPECT_NE(package.error().message.find(tampered.said), std::string::npos) << package.error().message;
  }
}

TEST(PackageSignature, IsCheckedAtEveryLoadAndNamesItsKey) {
  const PackageCopy copy;
  auto files = *read_package_files(copy.folder());
  const auto id = sign_package(files, new_key());
  ASSERT_TRUE(id) << id.error().message;
  ASSERT_TRUE(id->starts_with("ed25519:"));
  const auto signed_package = ModelPackage::admit(files);
  ASSERT_TRUE(signed_package) << signed_package.error().message;
  EXPECT_EQ(signed_package->manifest().key_id, *id);
  EXPECT_EQ(*key_id_of(*id), *id);
  const auto file = scratch("signed.zip");
  ASSERT_TRUE(write_package_archive(files, file));
  EXPECT_TRUE(ModelPackage::load(file));
  // Signing again with another key replaces the first.
  const auto other = sign_package(files, new_key());
  ASSERT_TRUE(other);
  EXPECT_NE(*other, *id);
  EXPECT_TRUE(ModelPackage::admit(files));
}

TEST(PackageSignature, RefusesWhatDoesNotBelongTogether) {
  const PackageCopy copy;
  auto files = *read_package_files(copy.folder());
  const auto id = sign_package(files, new_key());
  ASSERT_TRUE(id);
  const auto refused = [&](const std::function<void(PackageFiles&)>& change, const std::string& said) {
    PackageFiles changed = files;
    change(changed);
    const auto package = ModelPackage::admit(changed);
    ASSERT_FALSE(package) << said;
    EXPECT_NE(package.error().message.find(said), std::string::npos) << package.error().message;
  };
  refused([](PackageFiles& f) { f.content["SHA256SUMS.sig"][5] ^= 1; }, "signature does not match");
  refused([](PackageFiles& f) { f.content["SHA256SUMS.sig"] = "short"; }, "signature does not match");
  refused([](PackageFiles& f) { f.content.erase("SHA256SUMS.sig"); }, "SHA256SUMS.sig is not there");
  refused([](PackageFiles& f) {
    const std::string signature = f.content["SHA256SUMS.sig"];
    f.content["MODEL_CARD.md"] += "changed";
    seal(f);  // sums anew, as someone would who cannot sign
    f.content["SHA256SUMS.sig"] = signature;
  }, "signature does not match");
  PackageFiles unsigned_files = *read_package_files(copy.folder());
  unsigned_files.content["SHA256SUMS.sig"] = std::string(64, 'x');
  const auto package = ModelPackage::admit(unsigned_files);
  ASSERT_FALSE(package);
  EXPECT_NE(package.error().message.find("by which key"), std::string::npos) << package.error().message;
  EXPECT_FALSE(sign_package(unsigned_files, "no key"));
  EXPECT_FALSE(key_id_of("no key"));
}

}  // namespace
}  // namespace choana::processing
