#include <queue>

#include "text/utf8.h"
#include "text/vocabulary.h"

namespace slm {
namespace {

struct Merge {
  uint32_t rank;
  int64_t id;
};

uint64_t Pair(int64_t left, int64_t right) {
  return (static_cast<uint64_t>(left) << 32) | static_cast<uint32_t>(right);
}

class BytePairs final : public TokenModel {
 public:
  Status Read(JsonView description) {
    Status status = CheckKind(description);
    description["vocab"].ForEachMember([&](std::string token, JsonView id) {
      vocabulary_.Add(std::move(token), id.Integer().value_or(-1));
    });
    prefix_ = description["continuing_subword_prefix"].StringOr("");
    suffix_ = description["end_of_word_suffix"].StringOr("");
    falls_back_to_bytes_ = description["byte_fallback"].BooleanOr(false);
    joins_unknown_ = description["fuse_unk"].BooleanOr(false);
    takes_whole_pieces_ = description["ignore_merges"].BooleanOr(false);
    if (const std::optional<std::string> unknown = description["unk_token"].String()) {
      unknown_ = vocabulary_.IdOf(*unknown);
      if (!unknown_) return {ErrorKind::kModelInterface, "an unknown token that is not in the vocabulary"};
    }
    description["merges"].ForEachElement([&](JsonView merge) {
      if (status.ok()) status = AddMerge(merge);
    });
    return status;
  }

  void Encode(const std::string& piece, std::vector<int64_t>& ids) const override {
    if (takes_whole_pieces_) {
      if (const std::optional<int64_t> whole = vocabulary_.IdOf(piece)) {
        ids.push_back(*whole);
        return;
      }
    }
    std::vector<Symbol> symbols = Letters(piece);
    MergeAll(symbols);
    for (const Symbol& symbol : symbols) {
      if (symbol.id >= 0) ids.push_back(symbol.id);
    }
  }

 private:
  // A token of the piece so far; one that was merged into its left neighbour has no id.
  struct Symbol {
    int64_t id;
    ptrdiff_t previous;
    ptrdiff_t next;
  };
  struct Candidate {
    uint32_t rank;
    ptrdiff_t at;
    int64_t id;
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };

  static Status CheckKind(JsonView description) {
    if (!description["vocab"].IsObject()) return {ErrorKind::kModelInterface, "no vocabulary"};
    if (description["dropout"].Number().value_or(0) != 0) {
      return {ErrorKind::kModelInterface, "merges that are dropped at random, which this runner does not do"};
    }
    return {};
  }

  Status AddMerge(JsonView merge) {
    std::string parts[2];
    size_t count = 0;
    if (const std::optional<std::string> text = merge.String()) {
      const size_t space = text->find(' ');
      if (space != std::string::npos) {
        parts[0] = text->substr(0, space);
        parts[1] = text->substr(space + 1);
        count = 2;
      }
    } else {
      merge.ForEachElement([&](JsonView part) {
        if (count < 2) parts[count] = part.StringOr("");
        ++count;
      });
    }
    const std::string& right = parts[1];
    const bool continues = !prefix_.empty() && right.starts_with(prefix_);
    const std::optional<int64_t> ids[] = {
        vocabulary_.IdOf(parts[0]), vocabulary_.IdOf(right),
        vocabulary_.IdOf(parts[0] + (continues ? right.substr(prefix_.size()) : right))};
    if (count != 2 || !ids[0] || !ids[1] || !ids[2]) {
      return {ErrorKind::kModelInterface, "a merge of tokens that are not in the vocabulary"};
    }
    // Of one pair that was written twice the later rank counts.
    merges_[Pair(*ids[0], *ids[1])] = {rank_++, *ids[2]};
    return {};
  }

  std::vector<Symbol> Letters(const std::string& piece) const {
    std::vector<Symbol> symbols;
    const auto add = [&](int64_t id) {
      const auto count = static_cast<ptrdiff_t>(symbols.size());
      symbols.push_back({id, count - 1, count + 1});
    };
    bool unknown = false;
    const auto end_unknown = [&] {
      if (unknown) add(*unknown_);
      unknown = false;
    };
    for (size_t begin = 0; begin < piece.size();) {
      size_t end = begin + 1;
      while (end < piece.size() && (static_cast<unsigned char>(piece[end]) & 0xC0) == 0x80) ++end;
      const std::string letter = piece.substr(begin, end - begin);
      const std::string written = (begin > 0 ? prefix_ : "") + letter + (end == piece.size() ? suffix_ : "");
      begin = end;
      if (const std::optional<int64_t> id = vocabulary_.IdOf(written)) {
        end_unknown();
        add(*id);
        continue;
      }
      const auto bytes = falls_back_to_bytes_ ? vocabulary_.BytesOf(written) : std::nullopt;
      if (bytes) {
        // As Hugging Face's library: what is unknown in front of them comes after them.
        for (const int64_t id : *bytes) add(id);
      } else if (unknown_) {
        if (!joins_unknown_) end_unknown();
        unknown = true;
      }
    }
    end_unknown();
    if (!symbols.empty()) symbols.back().next = -1;
    return symbols;
  }

  void MergeAll(std::vector<Symbol>& symbols) const {
    std::priority_queue<Candidate> queue;
    const auto offer = [&](ptrdiff_t at) {
      const Symbol& left = symbols[static_cast<size_t>(at)];
      if (left.next < 0) return;
      const auto found = merges_.find(Pair(left.id, symbols[static_cast<size_t>(left.next)].id));
      if (found != merges_.end()) queue.push({found->second.rank, at, found->second.id});
    };
    for (size_t at = 0; at < symbols.size(); ++at) offer(static_cast<ptrdiff_t>(at));
    while (!queue.empty()) {
      const Candidate best = queue.top();
      queue.pop();
      Symbol& left = symbols[static_cast<size_t>(best.at)];
      if (left.id < 0 || left.next < 0) continue;
      Symbol& right = symbols[static_cast<size_t>(left.next)];
      // It may have been merged with something else since.
      const auto found = merges_.find(Pair(left.id, right.id));
      if (found == merges_.end() || found->second.id != best.id) continue;
      left.id = best.id;
      right.id = -1;
      left.next = right.next;
      if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = best.at;
      if (left.previous >= 0) offer(left.previous);
      offer(best.at);
    }
  }

  std::unordered_map<uint64_t, Merge> merges_;
  uint32_t rank_ = 0;
  std::string prefix_;
  std::string suffix_;
  std::optional<int64_t> unknown_;
  bool falls_back_to_bytes_ = false;
  bool joins_unknown_ = false;
  bool takes_whole_pieces_ = false;
};

}  // namespace

Status ReadBytePairs(JsonView description, std::unique_ptr<TokenModel>& model) {
  auto made = std::make_unique<BytePairs>();
  if (Status status = made->Read(description); !status.ok()) return status;
  model = std::move(made);
  return {};
}

}  // namespace slm
