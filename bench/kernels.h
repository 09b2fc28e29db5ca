#pragma once

#include <string>

#include "bench/dense.h"

namespace truetape::bench {

const Dense& dense();  // read once

// Empty: the content is right. Else one sentence.
std::string check_decode();
std::string check_kucoin();
std::string check_heart();
std::string check_codec();

}  // namespace truetape::bench
