# Headers that most sources use and none of the project's: compiled once. Every library of sim/ takes them
# from qsim_text, so the flags of the libraries must agree.
set(QSIM_PRECOMPILED
  <algorithm> <array> <cmath> <cstdint> <filesystem> <functional> <fstream> <map> <memory> <optional> <set> <span>
  <sstream> <string> <string_view> <utility> <variant> <vector> <fmt/format.h> <fmt/ranges.h> <nlohmann/json.hpp>)

# qsim_library(NAME [DIRS sub...] [EXCLUDE file...] [PUBLIC libs...] [PRIVATE libs...]): one folder of the tree
# as a library, from the sources in it and in DIRS. What it links is what its sources may include. Results must
# be the same bytes on every machine and with every compiler, so nothing fuses a multiplication with an addition.
function(qsim_library name)
  cmake_parse_arguments(ARG "" "" "DIRS;EXCLUDE;PUBLIC;PRIVATE" ${ARGN})
  set(patterns *.cpp)
  foreach(dir IN LISTS ARG_DIRS)
    list(APPEND patterns ${dir}/*.cpp)
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} ${patterns})
  list(REMOVE_ITEM sources "" ${ARG_EXCLUDE})
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE -ffp-contract=off)
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC}
                        PRIVATE ${ARG_PRIVATE} qsim_warnings fmt::fmt nlohmann_json::nlohmann_json)
  if(name STREQUAL "qsim_text")
    target_precompile_headers(${name} PRIVATE ${QSIM_PRECOMPILED})
  else()
    target_precompile_headers(${name} REUSE_FROM qsim_text)
  endif()
endfunction()
