#include "cli/session_flags.h"

namespace slm {

void RunOptions::AddEngineFlags(Flags& flags) {
  session.names = {"--affinity", "--threads", "--context"};
  flags.Text("--engine-library", session.engine_library, "PATH",
             "the engine's shared library; looked for beside the runner, in lib/ and on the loader's path");
  flags.KeyValues("--engine-option", session.engine_settings,
                  "setting passed to the engine as it is; repeatable");
  flags.Text("--kernels", session.kernels, "own|engine|own:SET",
             "whose kernels multiply with quantized weights; info lists the sets that this CPU can run");
  flags.Integer(session.names.threads, session.threads, 1, 1 << 20,
                "engine threads, the calling one included");
}

void RunOptions::AddRunFlags(Flags& flags) {
  flags.Text("--model", session.model, "PATH", "the artifact's folder or the model file");
  flags.Required();
  flags.Text("--run-id", run_id, "ID", "goes into every record");
  AddEngineFlags(flags);
  flags.IntegerList(session.names.affinity, session.affinity,
                    "CPUs that the process may use; one per thread pins each thread");
  flags.Integer(session.names.context_length, session.context_length, 0, kNoLimit,
                "most positions to allow; 0 = the model's own");
  flags.Integer("--prefill-chunk", session.prefill_chunk, 1, 1 << 20,
                "most tokens fed to the engine at once");
}

}  // namespace slm
