// Renames the delegates of programs, whole or damaged, as they are renamed when one is loaded:
//   executorch_renaming FROM TO < programs > programs
// Each program follows its length in bytes, an int64; renamed ones follow each other.
#include <cstdio>
#include <vector>

#include "engines/executorch/program_loader.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  int64_t bytes = 0;
  while (std::fread(&bytes, sizeof bytes, 1, stdin) == 1) {
    std::vector<uint8_t> program(static_cast<size_t>(bytes));
    if (std::fread(program.data(), 1, program.size(), stdin) != program.size()) return 2;
    slm::RenameBackends(program, argv[1], argv[2]);
    std::fwrite(program.data(), 1, program.size(), stdout);
  }
  return 0;
}
