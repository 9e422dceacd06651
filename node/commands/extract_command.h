#pragma once

namespace choana::node {

int run_extract(int argc, char** argv);

}  // namespace choana::node
