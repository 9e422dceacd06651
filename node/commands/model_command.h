#pragma once

namespace choana::node {

/// `choana model check|show|list`: admit packages and say what they are. argv[0] is the command's name. Returns the exit
/// code: 0; 1 if a package is refused; 2 for wrong usage.
int run_model(int argc, char** argv);

}  // namespace choana::node
