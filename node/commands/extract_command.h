#pragma once

namespace choana::node {

/// `choana extract INPUT [MASK]`: features of one image and mask, or of a batch table, with the options and columns of the `pyradiomics`
/// command. argv[0] is the command's name. Returns the exit code: 0; 1 if a case failed; 2 for wrong usage or settings.
int run_extract(int argc, char** argv);

}  // namespace choana::node
