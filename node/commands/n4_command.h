#pragma once

namespace choana::node {

/// `choana n4 IMAGE --out FILE`: N4 bias field correction of one image. argv[0] is the command's name. Returns the exit code: 0; 1 if the image could not be
/// corrected; 2 for wrong usage or settings.
int run_n4(int argc, char** argv);

}  // namespace choana::node
