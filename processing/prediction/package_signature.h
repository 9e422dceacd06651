#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/result.h"
#include "processing/prediction/package_files.h"

namespace choana::processing {

/// Sign a package: state integrity.key_id in its manifest (`ed25519:` and the public key in base64), seal it anew and put
/// the Ed25519 signature of SHA256SUMS, 64 bytes, into SHA256SUMS.sig. private_key: PEM, as
/// `openssl genpkey -algorithm ed25519` writes it. Returns the key id.
/// Errors: invalid_argument (not such a key), invalid_package (the manifest's `integrity` is not written on one line).
[[nodiscard]] Result<std::string> sign_package(PackageFiles& files, std::string_view private_key);

/// Hold SHA256SUMS.sig against SHA256SUMS. stated_key: integrity.key_id of the manifest, empty if it has none.
/// Errors: invalid_package: a signature that does not match, a signature and no key, a key and no signature.
[[nodiscard]] Status check_signature(const PackageFiles& files, const std::string& stated_key);

/// May a package of this key be used? trusted: key ids; empty: any package, signed or not. Errors: invalid_package.
[[nodiscard]] Status check_trust(const std::string& key_id, const std::vector<std::string>& trusted);

/// The key id of a public key: PEM text, or a key id itself. Errors: invalid_argument.
[[nodiscard]] Result<std::string> key_id_of(std::string_view public_key);

}  // namespace choana::processing
