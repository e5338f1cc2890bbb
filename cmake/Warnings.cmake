# Warnings live on an interface target that is linked, never exported.
add_library(qsim_warnings INTERFACE)
target_compile_options(qsim_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual
  $<$<BOOL:${QSIM_WERROR}>:-Werror>)
# GCC 12 warns of overlapping copies in `"literal" + std::string` (GCC bug 105651); there are none.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(qsim_warnings INTERFACE -Wno-restrict)
endif()
