# Warnings live on an interface target that is linked, never exported.
add_library(qsim_warnings INTERFACE)
target_compile_options(qsim_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual
  $<$<BOOL:${QSIM_WERROR}>:-Werror>)
# GCC 12 sees copies that overlap, are impossibly long or leave their array in `"literal" + std::string` (GCC bugs
# 105651, 105329); there are none, and behind precompiled headers it no longer takes them for the library's.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(qsim_warnings INTERFACE -Wno-restrict -Wno-stringop-overflow -Wno-array-bounds)
endif()
# Of instrumented code GCC says it about values that are always set (in std::regex, for one).
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND QSIM_SANITIZE)
  target_compile_options(qsim_warnings INTERFACE -Wno-maybe-uninitialized)
endif()
