#include "cli/flags.h"

#include <algorithm>
#include <optional>

#include "cli/request_words.h"

namespace slm {
namespace {

Status Bad(std::string_view text, const std::string& expected) {
  return {ErrorKind::kUsage, "'" + std::string(text) + "' is not " + expected};
}

std::string Short(double number) {
  std::string text = std::to_string(number);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

}  // namespace

void Flags::Integer(std::string name, int64_t& variable, int64_t minimum, int64_t maximum, std::string help) {
  help += " [" + std::to_string(variable) + "]";
  flags_.push_back(
      {std::move(name), "N", std::move(help), [&variable, minimum, maximum](std::string_view text) {
         return ParseInteger(text, minimum, maximum, variable);
       }});
}

void Flags::Number(std::string name, double& variable, double minimum, double maximum, std::string help) {
  help += " [" + Short(variable) + "]";
  flags_.push_back(
      {std::move(name), "X", std::move(help), [&variable, minimum, maximum](std::string_view text) {
         const std::optional<double> parsed = ParseNumber(text);
         if (!parsed || *parsed < minimum || *parsed > maximum) {
           return Bad(text, "a number from " + Short(minimum) + " to " + Short(maximum));
         }
         variable = *parsed;
         return Status();
       }});
}

void Flags::Text(std::string name, std::string& variable, std::string value_name, std::string help) {
  if (!variable.empty()) help += " [" + variable + "]";
  flags_.push_back(
      {std::move(name), std::move(value_name), std::move(help), [&variable](std::string_view text) {
         if (text.empty()) return Bad(text, "a value");
         variable = text;
         return Status();
       }});
}

void Flags::IntegerList(std::string name, std::vector<int64_t>& variable, std::string help) {
  flags_.push_back({std::move(name), "A,B,...", std::move(help), [&variable](std::string_view text) {
                      variable.clear();
                      for (size_t start = 0; start <= text.size();) {
                        const size_t comma = std::min(text.find(',', start), text.size());
                        int64_t element = 0;
                        Status status = ParseInteger(text.substr(start, comma - start), 0, kNoLimit, element);
                        if (!status.ok()) return status;
                        variable.push_back(element);
                        start = comma + 1;
                      }
                      return Status();
                    }});
}

void Flags::KeyValues(std::string name, std::vector<std::pair<std::string, std::string>>& variable,
                      std::string help) {
  flags_.push_back({std::move(name), "KEY=VALUE", std::move(help), [&variable](std::string_view text) {
                      const size_t equals = text.find('=');
                      if (equals == 0 || equals == std::string_view::npos) return Bad(text, "KEY=VALUE");
                      variable.emplace_back(text.substr(0, equals), text.substr(equals + 1));
                      return Status();
                    }});
  flags_.back().repeatable = true;
}

Status Flags::Parse(std::span<const std::string_view> arguments) {
  for (size_t index = 0; index < arguments.size(); ++index) {
    std::string_view name = arguments[index];
    const size_t equals = name.starts_with("--") ? name.find('=') : std::string_view::npos;
    const bool joined = equals != std::string_view::npos;
    if (joined) name = name.substr(0, equals);
    const auto flag =
        std::find_if(flags_.begin(), flags_.end(), [&](const Flag& f) { return f.name == name; });
    if (flag == flags_.end()) return {ErrorKind::kUsage, "unknown flag '" + std::string(name) + "'"};
    if (flag->given && !flag->repeatable) return {ErrorKind::kUsage, flag->name + " is given twice"};
    if (!joined && index + 1 == arguments.size()) return {ErrorKind::kUsage, flag->name + " needs a value"};
    flag->given = true;
    const std::string_view value = joined ? arguments[index].substr(equals + 1) : arguments[++index];
    const Status status = flag->assign(value);
    if (!status.ok()) return {ErrorKind::kUsage, flag->name + ": " + status.message()};
  }
  for (const Flag& flag : flags_) {
    if (flag.required && !flag.given) return {ErrorKind::kUsage, flag.name + " must be given"};
  }
  return {};
}

std::string Flags::help() const {
  std::string text;
  for (const Flag& flag : flags_) {
    std::string usage = "  " + flag.name + " " + flag.value_name;
    usage.resize(std::max<size_t>(usage.size() + 2, 32), ' ');
    text += usage + flag.help + (flag.required ? " (required)" : "") + "\n";
  }
  return text;
}

}  // namespace slm
