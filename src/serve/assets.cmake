# truetape_page_assets: web/ and the chart library as a library of bytes (assets.h). Nothing is fetched here:
# `./dev setup build` puts web/node_modules there, by the lock file.
set(page_source ${CMAKE_SOURCE_DIR}/web)
set(page_chart node_modules/lightweight-charts/dist/lightweight-charts.standalone.production.mjs)
if(NOT EXISTS ${page_source}/${page_chart})
  message(FATAL_ERROR "web/${page_chart} is missing: the page's chart library. Run `./dev setup build`, which fetches it once.")
endif()

# Path of the request = file below web/. What is not listed is not served.
set(page_files
  /=index.html
  /page/api.js=api.js
  /page/app.js=app.js
  /page/book.js=book.js
  /page/chart.js=chart.js
  /page/cross.js=cross.js
  /page/gaps.js=gaps.js
  /page/header.js=header.js
  /page/icon.svg=icon.svg
  /page/life.js=life.js
  /page/lightweight-charts.js=${page_chart}
  /page/news.js=news.js
  /page/picker.js=picker.js
  /page/quarantine.js=quarantine.js
  /page/stream.js=stream.js
  /page/strip.js=strip.js
  /page/style.css=style.css
  /page/tape.js=tape.js
  /page/waits.js=waits.js
  /page/words.js=words.js)
set(page_inputs)
foreach(entry IN LISTS page_files)
  string(REGEX REPLACE "^[^=]*=" "${page_source}/" input "${entry}")
  list(APPEND page_inputs ${input})
endforeach()

string(REPLACE ";" "|" page_list "${page_files}")  # a list would be split on the command line
set(page_code ${CMAKE_CURRENT_BINARY_DIR}/page_assets.cc)
add_custom_command(OUTPUT ${page_code}
  COMMAND ${CMAKE_COMMAND} -D "FILES=${page_list}" -D SOURCE=${page_source} -D OUT=${page_code}
    -P ${CMAKE_CURRENT_LIST_DIR}/embed_assets.cmake
  DEPENDS ${page_inputs} ${CMAKE_CURRENT_LIST_DIR}/embed_assets.cmake
  COMMENT "Embedding the page" VERBATIM)
truetape_library(page_assets ${page_code})
