// Command-line flags bound to variables: `--name value` or `--name=value`.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/numbers.h"
#include "engine/status.h"

namespace slm {

class Flags {
 public:
  // The variable's value at this moment is the default that the help shows.
  void Integer(std::string name, int64_t& variable, int64_t minimum, int64_t maximum, std::string help);
  void Number(std::string name, double& variable, double minimum, double maximum, std::string help);
  void Text(std::string name, std::string& variable, std::string value_name, std::string help);
  // Comma-separated non-negative integers.
  void IntegerList(std::string name, std::vector<int64_t>& variable, std::string help);
  // KEY=VALUE, may be given several times.
  void KeyValues(std::string name, std::vector<std::pair<std::string, std::string>>& variable,
                 std::string help);
  // The flag added last must be given.
  void Required() { flags_.back().required = true; }

  Status Parse(std::span<const std::string_view> arguments);
  std::string help() const;

 private:
  struct Flag {
    std::string name;
    std::string value_name;
    std::string help;
    std::function<Status(std::string_view)> assign;
    bool required = false;
    bool given = false;
    bool repeatable = false;
  };

  std::vector<Flag> flags_;
};

}  // namespace slm
