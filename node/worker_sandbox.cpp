#include "node/worker_sandbox.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

namespace choana::node {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t audit_architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr std::uint32_t audit_architecture = AUDIT_ARCH_AARCH64;
#else
#error "name the seccomp architecture of this CPU"
#endif

// System calls a pipeline never needs and an intruder would.
constexpr int refused_calls[] = {
    SYS_socket, SYS_socketpair, SYS_connect, SYS_bind, SYS_listen, SYS_accept4, SYS_execve, SYS_execveat, SYS_ptrace,
    SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_setns, SYS_unshare,
    SYS_bpf, SYS_perf_event_open, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_kexec_load, SYS_init_module,
    SYS_finit_module, SYS_delete_module, SYS_reboot, SYS_swapon, SYS_userfaultfd, SYS_open_by_handle_at,
};

Status limit(int resource, std::uint64_t value, const char* name) {
  const rlimit both{static_cast<rlim_t>(value), static_cast<rlim_t>(value)};
  if (setrlimit(static_cast<__rlimit_resource_t>(resource), &both) != 0)
    return fail(ErrorCode::internal, "confine_worker", std::string("Cannot limit ") + name + ": " + std::strerror(errno) + ".");
  return {};
}

Status refuse_system_calls() {
  std::vector<sock_filter> program;
  const auto statement = [&](int code, std::uint32_t k) { program.push_back(sock_filter{static_cast<std::uint16_t>(code), 0, 0, k}); };
  const auto jump = [&](int code, std::uint32_t k, std::uint8_t yes, std::uint8_t no) {
    program.push_back(sock_filter{static_cast<std::uint16_t>(code), yes, no, k});
  };
  statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, arch));
  jump(BPF_JMP | BPF_JEQ | BPF_K, audit_architecture, 1, 0);
  statement(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
  statement(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  for (const int call : refused_calls) {
    jump(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1);
    statement(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (EPERM & SECCOMP_RET_DATA));
  }
  statement(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
    return fail(ErrorCode::internal, "confine_worker", std::string("Cannot install the system call filter: ") + std::strerror(errno) + ".");
  return {};
}

}  // namespace

Status confine_worker(const WorkerLimits& limits) {
  if (limits.memory_max_bytes != 0)
    if (auto done = limit(RLIMIT_AS, limits.memory_max_bytes, "memory"); !done) return done;
  if (limits.cpu_max_s != 0)
    if (auto done = limit(RLIMIT_CPU, limits.cpu_max_s, "CPU time"); !done) return done;
  if (limits.file_max_bytes != 0)
    if (auto done = limit(RLIMIT_FSIZE, limits.file_max_bytes, "file size"); !done) return done;
  if (auto done = limit(RLIMIT_CORE, 0, "core dumps"); !done) return done;  // a core dump would hold patient data
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return fail(ErrorCode::internal, "confine_worker", std::string("Cannot give up new privileges: ") + std::strerror(errno) + ".");
  return refuse_system_calls();
}

}  // namespace choana::node
