#include "node/commands/extract_command.h"
int choana::node::run_extract(int, char**) { return 2; }
