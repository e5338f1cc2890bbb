# Warnings live on an interface target that is linked, never exported.
add_library(qsim_warnings INTERFACE)
target_compile_options(qsim_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wold-style-cast
  -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual
  $<$<BOOL:${QSIM_WERROR}>:-Werror>)
