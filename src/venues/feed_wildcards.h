// What wildcards mean by a venue's list. Pure.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/wildcard.h"
#include "venues/feed_rest.h"

namespace truetape::feeds {

class Wildcards {
 public:
  // Instruments and wildcards that are wanted from now on. What those before meant stays until the next list, if there
  // are new ones. True: there is a wildcard that no list has told the meaning of.
  bool want(const std::set<Instrument>& wanted);
  bool any() const { return !wildcards_.empty(); }
  std::set<std::string> ranked() const;  // the quotes of which the greatest are wanted

  // A new list. False: it is not believed, since it is empty; or not yet, since more than half of what was selected is
  // not in it any more; the next one is. Who was among the greatest stays as long as it is among the greatest half as
  // many again; who is halted stays if it was selected, and is not selected anew. `thin`: quotes of which it does not
  // tell who is greatest; that stays what it was.
  bool listed(const std::vector<Offered>& offered, const std::set<std::string>& thin = {});
  // What is wanted now: instruments, and what wildcards mean by the last list.
  std::set<Instrument> instruments() const;
  // Of what is wanted, the wildcards that mean nothing by the last list.
  std::set<Instrument> idle() const;

 private:
  static std::set<Instrument> select(const Wildcard& wildcard, const std::vector<Offered>& offered,
                                     const std::set<Instrument>& before);

  std::set<Instrument> named_;
  std::map<Instrument, Wildcard> wildcards_;
  std::set<Instrument> kept_;  // what wildcards meant that are wanted no more, until the next list
  std::map<Instrument, std::set<Instrument>> meant_;  // by wildcard
  bool doubted_ = false;
};

}  // namespace truetape::feeds
