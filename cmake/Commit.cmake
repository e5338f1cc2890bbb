cmake_minimum_required(VERSION 3.25)

# cmake -DSOURCE=dir -DOUTPUT=file -P Commit.cmake: writes a C++ file that defines qsim::cli::kCommit. The file changes
# only when the commit does, so a build after a commit compiles one file and links. In an archive of the sources,
# git has put the commit into cmake/commit.txt (.gitattributes); in a mere copy nobody knows it.
set(commit "")
file(REAL_PATH ${SOURCE} SOURCE)
execute_process(COMMAND git -C ${SOURCE} rev-parse --show-toplevel OUTPUT_VARIABLE top OUTPUT_STRIP_TRAILING_WHITESPACE
                ERROR_QUIET RESULT_VARIABLE failed)
if(NOT failed AND top STREQUAL SOURCE)
  execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12 --exclude=*
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
endif()
if(NOT commit)
  file(READ ${SOURCE}/cmake/commit.txt commit)
  string(STRIP "${commit}" commit)
  string(SUBSTRING "${commit}" 0 12 commit)
  if(NOT commit MATCHES "^[0-9a-f]+$")
    set(commit unknown)
  endif()
endif()
file(CONFIGURE OUTPUT ${OUTPUT} CONTENT
"#include \"sim/cli/version.h\"

const char* const qsim::cli::kCommit = \"@commit@\";
" @ONLY)
