#include <algorithm>
#include <limits>

#include "text/vocabulary.h"

namespace slm {
namespace {

// What an unknown letter costs beside the least likely token.
constexpr double kUnknownPenalty = 10.0;

class Unigram final : public TokenModel {
 public:
  Status Read(JsonView description) {
    Status status;
    double least = std::numeric_limits<double>::infinity();
    description["vocab"].ForEachElement([&](JsonView entry) {
      std::string token;
      double score = 0;
      size_t count = 0;
      entry.ForEachElement([&](JsonView part) {
        if (count == 0) token = part.StringOr("");
        if (count == 1) score = part.Number().value_or(0);
        ++count;
      });
      if (count != 2) status = {ErrorKind::kModelInterface, "a vocabulary without scores"};
      longest_ = std::max(longest_, token.size());
      least = std::min(least, score);
      vocabulary_.Add(std::move(token), static_cast<int64_t>(scores_.size()));
      scores_.push_back(score);
    });
    if (scores_.empty()) status = {ErrorKind::kModelInterface, "no vocabulary"};
    unknown_ = description["unk_id"].Integer();
    if (!unknown_ || *unknown_ < 0 || static_cast<size_t>(*unknown_) >= scores_.size()) {
      return {ErrorKind::kModelInterface, "no token for what is unknown"};
    }
    falls_back_to_bytes_ = description["byte_fallback"].BooleanOr(false);
    unknown_score_ = least - kUnknownPenalty;
    return status;
  }

  void Encode(const std::string& piece, std::vector<int64_t>& ids) const override {
    const std::vector<Step> best = BestSteps(piece);
    std::vector<std::string> tokens;
    // From the end back; letters that are unknown and lie side by side are one token.
    bool joins = false;
    for (size_t end = piece.size(); end > 0; end = best[end].begin) {
      const Step& step = best[end];
      const std::string text = piece.substr(step.begin, end - step.begin);
      const bool unknown = step.id == *unknown_;
      if (unknown && joins) {
        tokens.back() = text + tokens.back();
      } else {
        tokens.push_back(text);
      }
      joins = unknown;
    }
    for (auto token = tokens.rbegin(); token != tokens.rend(); ++token) {
      if (const std::optional<int64_t> id = vocabulary_.IdOf(*token)) {
        ids.push_back(*id);
        continue;
      }
      const auto bytes = falls_back_to_bytes_ ? vocabulary_.BytesOf(*token) : std::nullopt;
      if (bytes) {
        ids.insert(ids.end(), bytes->begin(), bytes->end());
      } else {
        ids.push_back(*unknown_);
      }
    }
  }

 private:
  // The last token of the best way to a place in the text.
  struct Step {
    bool reached = false;
    size_t begin = 0;
    int64_t id = 0;
    double score = 0;
  };

  std::vector<Step> BestSteps(const std::string& piece) const {
    std::vector<Step> best(piece.size() + 1);
    for (size_t begin = 0; begin < piece.size();) {
      const double score = best[begin].score;
      size_t letter = begin + 1;
      while (letter < piece.size() && (static_cast<unsigned char>(piece[letter]) & 0xC0) == 0x80) ++letter;
      bool known = false;
      const auto offer = [&](size_t end, int64_t id, double more) {
        Step& step = best[end];
        if (!step.reached || score + more > step.score) step = {true, begin, id, score + more};
      };
      std::string token;
      for (size_t end = begin + 1; end <= piece.size() && end - begin <= longest_; ++end) {
        token += piece[end - 1];
        const std::optional<int64_t> id = vocabulary_.IdOf(token);
        if (!id) continue;
        offer(end, *id, scores_[static_cast<size_t>(*id)]);
        known = known || end == letter;
      }
      if (!known) offer(letter, *unknown_, unknown_score_);
      begin = letter;
    }
    return best;
  }

  std::vector<double> scores_;
  std::optional<int64_t> unknown_;
  double unknown_score_ = 0;
  size_t longest_ = 0;
  bool falls_back_to_bytes_ = false;
};

}  // namespace

Status ReadUnigram(JsonView description, std::unique_ptr<TokenModel>& model) {
  auto made = std::make_unique<Unigram>();
  if (Status status = made->Read(description); !status.ok()) return status;
  model = std::move(made);
  return {};
}

}  // namespace slm
