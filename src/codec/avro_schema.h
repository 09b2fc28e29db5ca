// Whether two texts of Avro schemas mean the same bytes. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/result.h"

namespace truetape::avro {

// The schema in the Parsing Canonical Form of Avro's specification
// (https://avro.apache.org/docs/1.11.1/specification/#parsing-canonical-form-for-schemas): no white space, full names,
// attributes in one order, and nothing that does not change how a value is read, such as docs, aliases, defaults and
// the order of attributes. With one difference: logicalType stays, and precision and scale of a decimal (scale 0 where
// it is not said), since 15 as bytes and 0.000000000000000015 as a decimal are not the same value. Equal forms: what
// one schema writes the other reads.
//
// Fault::malformed: no JSON, or no schema (a type that is not defined before it is used, a record without fields, ...);
// the sentence names the place.
Result<std::string> canonical_schema(std::string_view json);

}  // namespace truetape::avro
