#pragma once

namespace choana::node {

/// `choana predict PACKAGE TABLE.csv [--out FILE] [--explain] [--json]`: score rows of features. argv[0] is the command's
/// name. Returns the exit code: 0; 1 if a row could not be scored or the package is refused; 2 for wrong usage.
int run_predict(int argc, char** argv);

}  // namespace choana::node
