// Mode `generate`: token ids in, token ids out, each as soon as it is known; or a text in, and text with the
// ids.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/session_flags.h"
#include "engine/engine.h"
#include "records/record_sink.h"
#include "session/generator.h"
#include "text/tokenizer.h"

namespace slm {

struct GenerateMode {
  RunOptions run;
  GenerationOptions generation;
  std::string prompt_file;
  // In place of the file; it takes the tokenizer.
  std::string prompt;
  std::string tokenizer;

  void AddFlags(Flags& flags);
  Status Run(Engine& engine, RecordSink& out, StopToken stop) const;

 private:
  Status ReadPrompt(std::optional<Tokenizer>& words, std::vector<int64_t>& ids) const;
};

}  // namespace slm
