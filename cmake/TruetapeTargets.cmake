# How a folder becomes a target, and which folders a target may know (docs/architecture.md; `./dev check` runs
# tools/check_arrows.py on what is declared here).

option(TRUETAPE_BENCH "Build the benchmarks" OFF)
option(TRUETAPE_FUZZ "Build the fuzz targets (clang only)" OFF)
set(TRUETAPE_SANITIZE "" CACHE STRING "asan (with UBSan), tsan or nothing")

add_library(truetape_warnings INTERFACE)
target_compile_options(truetape_warnings INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion
  -Wnon-virtual-dtor -Woverloaded-virtual -Werror)
# __int128 is a documented extension of GCC and Clang that core/decimal.h is built on.
target_compile_options(truetape_warnings INTERFACE -Wno-pedantic)
# GCC 12 takes empty optionals and parts of <regex> for used or uninitialised where they are sanitized.
if(TRUETAPE_SANITIZE)
  target_compile_options(truetape_warnings INTERFACE -Wno-maybe-uninitialized)
endif()
add_library(truetape::warnings ALIAS truetape_warnings)

# Two classes of one name in one program: only link-time optimisation sees it.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_link_options(-Werror=odr -Werror=lto-type-mismatch)
endif()

if(TRUETAPE_SANITIZE STREQUAL "asan")
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
elseif(TRUETAPE_SANITIZE STREQUAL "tsan")
  add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
  add_link_options(-fsanitize=thread)
  # GCC's sanitizer knows no fences (-Wtsan); what Asio's stand beside is ordered by its mutexes and by epoll too.
  add_compile_definitions(BOOST_ASIO_DISABLE_FENCED_BLOCK)
endif()

# Every library of a fuzz build is instrumented, so that the fuzzer sees their branches.
if(TRUETAPE_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=address,undefined)
endif()

# truetape_library(NAME source...): the library of the current folder, alias truetape::NAME. Link its arrows with
# target_link_libraries(truetape_NAME PUBLIC truetape::core PRIVATE ...).
function(truetape_library name)
  if(ARGN)
    add_library(truetape_${name} STATIC ${ARGN})
    target_include_directories(truetape_${name} PUBLIC ${CMAKE_SOURCE_DIR}/src)
    target_link_libraries(truetape_${name} PRIVATE truetape::warnings)
  else()
    add_library(truetape_${name} INTERFACE)
    target_include_directories(truetape_${name} INTERFACE ${CMAKE_SOURCE_DIR}/src)
  endif()
  add_library(truetape::${name} ALIAS truetape_${name})
endfunction()

# truetape_tests(NAME [LABEL label] [LINK target...]): every *_test.cc of the current folder as one program
# NAME_test, one ctest entry, linked with truetape::NAME.
function(truetape_tests name)
  if(NOT BUILD_TESTING)
    return()
  endif()
  cmake_parse_arguments(arg "" "LABEL" "LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cc)
  if(NOT sources)
    return()
  endif()
  add_executable(${name}_test ${sources})
  target_link_libraries(${name}_test PRIVATE truetape::${name} ${arg_LINK} truetape::warnings GTest::gtest GTest::gmock GTest::gtest_main)
  target_compile_definitions(${name}_test PRIVATE TRUETAPE_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME ${name} COMMAND ${name}_test)
  if(NOT arg_LABEL)
    set(arg_LABEL unit)
  endif()
  set_tests_properties(${name} PROPERTIES LABELS ${arg_LABEL} TIMEOUT 600)
endfunction()

# truetape_broker_test(NAME nodes label timeout command...): a ctest entry that runs the command beside 1 or 3 real brokers
# (tests/kafka/with_broker.py says what it finds in its environment); skipped, loudly, where there is no Kafka. One at a time,
# so begun first: they are the longest chain of a whole run.
# More options of with_broker.py may follow nodes: "1;--sasl".
function(truetape_broker_test name nodes label timeout)
  find_program(TRUETAPE_PYTHON3 python3 REQUIRED)
  add_test(NAME ${name} COMMAND ${TRUETAPE_PYTHON3} ${CMAKE_SOURCE_DIR}/tests/kafka/with_broker.py --nodes ${nodes} -- ${ARGN})
  set_tests_properties(${name} PROPERTIES LABELS ${label} TIMEOUT ${timeout} SKIP_RETURN_CODE 77 RESOURCE_LOCK kafka COST ${timeout}
    ENVIRONMENT "TRUETAPE=$<TARGET_FILE:truetape>;PYTHONDONTWRITEBYTECODE=1;no_proxy=127.0.0.1;NO_PROXY=127.0.0.1")
endfunction()
