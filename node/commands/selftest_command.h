#pragma once

namespace choana::node {

/// `choana selftest [--ibsi] [--config FILE] [--json]`: does this installation compute what it should? Exit codes: 0 yes; 1 something differs; 2 wrong usage.
int run_selftest(int argc, char** argv);

}  // namespace choana::node
