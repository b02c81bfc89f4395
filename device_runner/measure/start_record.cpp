#include "measure/start_record.h"

#include "engine/clock.h"
#include "engine/provenance.h"

namespace slm {

Status WriteStart(RecordWriter& records, Session& session, const StartFacts& facts) {
  const SessionOptions& options = session.options();
  return records.Write(records.NewRecord("start")
                           .Add("schema", "slm-result/1")
                           .Add("mode", facts.mode)
                           .Add("engine", session.engine().name())
                           .Add("engine_version", session.engine().version())
                           .Add("kernels", session.engine().kernels())
                           .Add("runner_version", RunnerVersion())
                           .Add("abi", Abi())
                           .Add("threads", options.threads)
                           .Add("affinity", options.affinity)
                           .Add("prompt_tokens", facts.prompt_tokens)
                           .Add("generate_tokens", facts.generate_tokens)
                           .Add("depth", facts.depth)
                           .Add("prefill_chunk", session.prefill_chunk())
                           .Add("context_length", session.context_length())
                           .Add("warmup", facts.warmup)
                           .Add("repetitions", facts.repetitions)
                           .Add("repeat_s", facts.repeat_s)
                           .Add("reserve", facts.reserve)
                           .Add("load_ns", session.load_ns())
                           .Add("started_unix_ns", UnixNs()));
}

}  // namespace slm
