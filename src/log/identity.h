// What a new log is called.
#pragma once

#include <string>

namespace truetape {

// Version 4, random: "6f1c1f0e-…", 36 characters.
std::string random_uuid();

}  // namespace truetape
