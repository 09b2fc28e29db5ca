# cmake -D FILES=PATH=FILE|PATH=FILE… -D SOURCE=DIRECTORY -D OUT=FILE.cc -P embed_assets.cmake
# Writes the files as arrays of bytes: the code behind assets.h.
set(type_html "text/html; charset=utf-8")
set(type_css "text/css; charset=utf-8")
set(type_js "text/javascript; charset=utf-8")
set(type_mjs "${type_js}")
set(type_svg "image/svg+xml")

set(arrays "")
set(rows "")
set(number 0)
string(REPLACE "|" ";" entries "${FILES}")
foreach(entry IN LISTS entries)
  if(NOT entry MATCHES "^([^=]+)=([^=]+)$")
    message(FATAL_ERROR "embed_assets: '${entry}' is not PATH=FILE")
  endif()
  set(path "${CMAKE_MATCH_1}")
  set(file "${SOURCE}/${CMAKE_MATCH_2}")
  get_filename_component(extension "${file}" LAST_EXT)
  string(SUBSTRING "${extension}" 1 -1 extension)
  if(NOT DEFINED type_${extension})
    message(FATAL_ERROR "embed_assets: no content type is known for ${file}")
  endif()
  file(READ "${file}" hex HEX)
  file(SHA256 "${file}" digest)
  string(SUBSTRING "${digest}" 0 32 digest)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
  string(LENGTH "${hex}" size)
  math(EXPR size "${size} / 2")
  string(APPEND arrays "constexpr unsigned char kFile${number}[] = {${bytes}};\n")
  string(APPEND rows
    "    Asset{\"${path}\", \"${type_${extension}}\", {reinterpret_cast<const char*>(kFile${number}), ${size}}, \"\\\"${digest}\\\"\"},\n")
  math(EXPR number "${number} + 1")
endforeach()

set(code "// Written by embed_assets.cmake.
#include \"serve/assets.h\"

namespace truetape {
namespace {
${arrays}}  // namespace

std::span<const Asset> page_assets() {
  static const Asset kAssets[] = {
${rows}  };
  return kAssets;
}

}  // namespace truetape
")
file(WRITE "${OUT}" "${code}")
