# embed_text(OUTPUT FUNCTION FILES...): writes a C++ file that defines std::string_view FUNCTION(), the
# concatenated text of the files. As numbers, because compilers limit the length of string literals.
# The build directory is configured again when one of the files changes.
function(embed_text output function)
  set(bytes "")
  foreach(file IN LISTS ARGN)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${file})
    file(READ ${file} hex HEX)
    string(APPEND bytes "${hex}0a")
  endforeach()
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(................................................................................)" "\\1\n"
         bytes "${bytes}")
  file(CONFIGURE OUTPUT ${output} CONTENT
"#include \"sim/report/page_assets.h\"

std::string_view @function@() {
  static constexpr unsigned char kText[] = {
@bytes@};
  return {static_cast<const char*>(static_cast<const void*>(kText)), sizeof(kText)};
}
" @ONLY)
endfunction()
