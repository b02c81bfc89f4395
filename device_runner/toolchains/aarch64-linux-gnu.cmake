# Cross-compiles for arm64 with glibc: Debian's package g++-aarch64-linux-gnu. The bundle brings this compiler's
# C library and loader along, so the result runs on Android as well as on Linux boards.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
if(NOT DEFINED CMAKE_CXX_COMPILER)
  set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
endif()
# Programs that the build runs are this machine's own.
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
