// A filter of system calls like that of an app's process. As a library it is loaded into a program (LD_PRELOAD) and says
// which call ended it; as a program (with SLM_FILTER_PROGRAM) it starts another one under the filter and says the same.
// SLM_FILTER names a file of lines "allow NUMBER" and "absent NUMBER"; any other call is fatal.
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace {

constexpr int kFatal = 159;

void SayAndEnd(int, siginfo_t* info, void*) {
  char line[64];
  const int length = std::snprintf(line, sizeof(line), "syscall %d\n", info->si_syscall);
  if (write(2, line, static_cast<size_t>(length)) >= 0) _exit(kFatal);
  _exit(kFatal);
}

void Install() {
  const char* path = std::getenv("SLM_FILTER");
  if (path == nullptr) return;
  std::vector<sock_filter> program = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr))};
  std::ifstream file(path);
  std::string word;
  for (unsigned number = 0; file >> word >> number;) {
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1));
    program.push_back(BPF_STMT(BPF_RET | BPF_K, word == "allow" ? SECCOMP_RET_ALLOW : SECCOMP_RET_ERRNO | ENOSYS));
  }
  program.push_back(BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP));
  sock_fprog filter = {static_cast<unsigned short>(program.size()), program.data()};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) != 0) {
    std::fprintf(stderr, "no filter: %s\n", std::strerror(errno));
    _exit(125);
  }
}

}  // namespace

#ifdef SLM_FILTER_PROGRAM
int main(int, char** arguments) {
  const pid_t child = fork();
  if (child == 0) {
    ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    raise(SIGSTOP);
    Install();
    execv(arguments[1], arguments + 1);
    _exit(126);
  }
  for (int status = 0, signal = 0;; signal = 0) {
    if (waitpid(child, &status, 0) < 0) return 125;
    if (WIFEXITED(status)) return WEXITSTATUS(status);
    if (WIFSIGNALED(status)) return 128 + WTERMSIG(status);
    siginfo_t info = {};
    if (WSTOPSIG(status) == SIGSYS && ptrace(PTRACE_GETSIGINFO, child, nullptr, &info) == 0) {
      std::fprintf(stderr, "syscall %d\n", info.si_syscall);
    }
    if (WSTOPSIG(status) != SIGSTOP && WSTOPSIG(status) != SIGTRAP) signal = WSTOPSIG(status);
    ptrace(PTRACE_CONT, child, nullptr, reinterpret_cast<void*>(static_cast<long>(signal)));
  }
}
#else
__attribute__((constructor)) void InstallWhenLoaded() {
  struct sigaction action = {};
  action.sa_sigaction = SayAndEnd;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSYS, &action, nullptr);
  Install();
}
#endif
