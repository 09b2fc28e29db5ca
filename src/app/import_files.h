// `truetape import`, for another command that takes archive files.
#pragma once

#include <string>
#include <vector>

#include "app/command.h"

namespace truetape::app {

// As `truetape import --instrument INSTRUMENT FILE…`; answers its exit code.
int import_archive(const std::string& instrument, std::vector<std::string> files, const Common& common);

}  // namespace truetape::app
