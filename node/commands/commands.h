#pragma once

namespace choana::node {

// One function per command of `choana`, argv[0] being the command's name. Exit codes: 0 done; 1 the work ran and
// something in it failed; 2 wrong usage or settings.
int run_run(int argc, char** argv);
int run_demo(int argc, char** argv);
int run_status(int argc, char** argv);
int run_why(int argc, char** argv);
int run_resend(int argc, char** argv);
int run_reprocess(int argc, char** argv);
int run_config(int argc, char** argv);

}  // namespace choana::node
