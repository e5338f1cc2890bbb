# Headers that most sources use and none of the project's, compiled once for each level of optimisation (GCC
# crashes on some mixtures). Not nlohmann/json.hpp or fmt/ranges.h: what a precompiled header instantiates is
# instantiated again by every source, and few need theirs.
set(QSIM_PRECOMPILED
  <algorithm> <array> <cmath> <cstdint> <filesystem> <functional> <fstream> <map> <memory> <optional> <set> <span>
  <sstream> <string> <string_view> <utility> <variant> <vector> <fmt/format.h>)

# At -O0 fmt asks GCC for -Og within its header; a precompiled one keeps __OPTIMIZE__ of that, with which the headers
# of intrinsics no longer compile.
string(TOUPPER "CMAKE_CXX_FLAGS_${CMAKE_BUILD_TYPE}" QSIM_BUILD_FLAGS)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND NOT "${CMAKE_CXX_FLAGS} ${${QSIM_BUILD_FLAGS}}" MATCHES "-O([1-9sgf]| |$)")
  add_compile_options("-DFMT_GCC_PRAGMA(arg)=")
endif()

# qsim_library(NAME [COLD] [DIRS sub...] [EXCLUDE file...] [PUBLIC libs...] [PRIVATE libs...]): one folder of
# the tree as a library, from the sources in it and in DIRS. What it links is what its sources may include.
# Results must be the same bytes on every machine and with every compiler, so nothing fuses a multiplication
# with an addition. COLD: nothing in it runs for long, so it is compiled twice as fast at -O1.
function(qsim_library name)
  cmake_parse_arguments(ARG "COLD" "" "DIRS;EXCLUDE;PUBLIC;PRIVATE" ${ARGN})
  set(patterns *.cpp)
  foreach(dir IN LISTS ARG_DIRS)
    list(APPEND patterns ${dir}/*.cpp)
  endforeach()
  file(GLOB sources CONFIGURE_DEPENDS RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} ${patterns})
  list(REMOVE_ITEM sources "" ${ARG_EXCLUDE})
  add_library(${name} STATIC ${sources})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_compile_options(${name} PRIVATE -ffp-contract=off)
  if(ARG_COLD)
    target_compile_options(${name} PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-O1>)
  endif()
  target_link_libraries(${name} PUBLIC ${ARG_PUBLIC}
                        PRIVATE ${ARG_PRIVATE} qsim_warnings fmt::fmt nlohmann_json::nlohmann_json)
  qsim_precompile(${name} "cold:${ARG_COLD}")
endfunction()

# qsim_precompile(TARGET FLAGS): the first target that is compiled with these flags compiles the headers, the
# others take them from it.
function(qsim_precompile target flags)
  get_property(owner GLOBAL PROPERTY "QSIM_PRECOMPILED_${flags}")
  if(owner)
    target_precompile_headers(${target} REUSE_FROM ${owner})
  else()
    target_precompile_headers(${target} PRIVATE ${QSIM_PRECOMPILED})
    set_property(GLOBAL PROPERTY "QSIM_PRECOMPILED_${flags}" ${target})
  endif()
endfunction()

# qsim_vectors(SOURCES...): sources that Highway compiles once for each instruction set, which takes a translation
# unit of their own. Highway 1.0.3 leaves AVX3_DL out where it is not asked for; here, where -march=native has it too.
function(qsim_vectors)
  set_source_files_properties(${ARGN} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON
                              COMPILE_DEFINITIONS HWY_DISABLED_TARGETS=HWY_AVX3_DL)
  if(QSIM_FUZZ)  # instrumented, each takes minutes to compile
    set_source_files_properties(${ARGN} PROPERTIES COMPILE_OPTIONS -fno-sanitize=all
                                SKIP_PRECOMPILE_HEADERS ON)
  endif()
endfunction()
