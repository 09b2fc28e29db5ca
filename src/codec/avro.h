// The values of the topics in Avro's binary encoding, exactly by schemas/*.avsc. Written by hand for these schemas: no
// allocation on the way out but the growth of `out`. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "core/records.h"
#include "core/result.h"

namespace truetape::avro {

// Appends the Avro body (no frame: see codec/wire.h). Cannot fail: every record has an encoding.
void encode(const Trade& value, std::string& out);
void encode(const Quote& value, std::string& out);
void encode(const Candle& value, std::string& out);
void encode(const News& value, std::string& out);
void encode(const Gap& value, std::string& out);
void encode(const LateWindow& value, std::string& out);
void encode(const Progress& value, std::string& out);
void encode(const Reference& value, std::string& out);
void encode(const NewsCount& value, std::string& out);

// The whole of `body` as one record. Fault::malformed names the field and the byte for bytes that end early, are left
// over, or hold what the schema or its documentation does not allow. Bytes may be anything.
Result<Trade> decode_trade(std::string_view body);
Result<Quote> decode_quote(std::string_view body);
Result<Candle> decode_candle(std::string_view body);
Result<News> decode_news(std::string_view body);
Result<Gap> decode_gap(std::string_view body);
Result<LateWindow> decode_late_window(std::string_view body);
Result<Progress> decode_progress(std::string_view body);
Result<Reference> decode_reference(std::string_view body);
Result<NewsCount> decode_news_count(std::string_view body);

}  // namespace truetape::avro
