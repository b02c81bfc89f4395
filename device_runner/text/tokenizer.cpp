#include "text/tokenizer.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "text/json_view.h"
#include "text/utf8.h"

namespace slm {

Status Tokenizer::Read(const std::string& path, Tokenizer& tokenizer) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return {ErrorKind::kUsage, path + ": cannot be read: " + std::strerror(errno)};
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) return {ErrorKind::kUsage, path + ": cannot be read"};
  tokenizer = {};
  Status status = CheckJson(text);
  if (!status.ok()) return {status.kind(), path + " " + status.message()};
  status = tokenizer.ReadParts(text);
  return status.ok() ? status : Status(status.kind(), path + " has " + status.message());
}

Status Tokenizer::ReadParts(std::string_view text) {
  const JsonView all(text);
  if (Status status = Normalizer::Read(all["normalizer"], normalizer_); !status.ok()) return status;
  if (Status status = PreTokenizer::Read(all["pre_tokenizer"], pre_tokenizer_); !status.ok()) return status;
  if (Status status = AddedTokens::Read(all["added_tokens"], normalizer_, added_); !status.ok())
    return status;
  if (Status status = TokenModel::Read(all["model"], model_); !status.ok()) return status;
  if (Status status = TokenDecoder::Read(all["decoder"], decoder_); !status.ok()) return status;
  return ReadTemplate(all["post_processor"]);
}

Status Tokenizer::ReadTemplate(JsonView description) {
  const std::string type = description["type"].StringOr("");
  Status status;
  if (type == "Sequence") {
    description["processors"].ForEachElement([&](JsonView one) {
      if (status.ok()) status = ReadTemplate(one);
    });
    return status;
  }
  // It changes where tokens are said to stand, not which ones they are.
  if (description.IsNull() || type == "ByteLevel") return {};
  if (type != "TemplateProcessing") {
    return {ErrorKind::kModelInterface, "the post-processor " + type + ", which this runner does not know"};
  }
  std::vector<int64_t> front, back;
  bool seen = false;
  description["single"].ForEachElement([&](JsonView part) {
    if (!part["Sequence"].IsNull()) {
      seen = true;
    } else if (status.ok()) {
      status = AddSpecial(description, part["SpecialToken"]["id"].StringOr(""), seen ? back : front);
    }
  });
  front_.insert(front_.begin(), front.begin(), front.end());
  back_.insert(back_.end(), back.begin(), back.end());
  return status;
}

Status Tokenizer::AddSpecial(JsonView description, const std::string& name, std::vector<int64_t>& ids) const {
  const JsonView known = description["special_tokens"][name]["ids"];
  if (!known.IsArray())
    return {ErrorKind::kModelInterface, "a template with the unknown token '" + name + "'"};
  Status status;
  known.ForEachElement([&](JsonView element) {
    const std::optional<int64_t> id = element.Integer();
    if (id && *id >= 0) {
      ids.push_back(*id);
    } else {
      status = {ErrorKind::kModelInterface, "a template whose token '" + name + "' has an id that is none"};
    }
  });
  return status;
}

Status Tokenizer::Encode(std::string_view text, bool special, std::vector<int64_t>& ids) const {
  ids.clear();
  Piece whole{{}, true};
  if (!DecodeUtf8(text, whole.text)) return {ErrorKind::kUsage, "the text is not UTF-8"};
  if (special) ids = front_;
  for (AddedTokens::Part& raw : added_.Cut(whole, false)) {
    if (raw.token) {
      ids.push_back(*raw.token);
      continue;
    }
    raw.piece.text = normalizer_.Apply(std::move(raw.piece.text));
    for (AddedTokens::Part& part : added_.Cut(raw.piece, true)) {
      if (part.token) {
        ids.push_back(*part.token);
        continue;
      }
      for (const Piece& piece : pre_tokenizer_.Apply(std::move(part.piece))) {
        if (!piece.text.empty()) model_->Encode(EncodeUtf8(piece.text), ids);
      }
    }
  }
  if (special) ids.insert(ids.end(), back_.begin(), back_.end());
  return {};
}

std::optional<std::string> Tokenizer::BytesOf(int64_t id, bool leads) const {
  if (added_.IsSpecial(id)) return std::nullopt;
  const std::string* token = added_.TextOf(id);
  if (token == nullptr) token = model_->vocabulary().TokenOf(id);
  if (token == nullptr) return std::nullopt;
  return decoder_.Decode(*token, leads);
}

std::string TextStream::Take(int64_t id) {
  const std::optional<std::string> bytes = tokenizer_.BytesOf(id, leads_);
  if (!bytes) return {};
  leads_ = false;
  bytes_ += *bytes;
  const size_t whole = WholeCharacters(bytes_);
  const std::string text = RepairedUtf8(std::string_view(bytes_).substr(0, whole));
  bytes_.erase(0, whole);
  return text;
}

std::string TextStream::Finish() {
  const std::string text = RepairedUtf8(bytes_);
  bytes_.clear();
  return text;
}

}  // namespace slm
