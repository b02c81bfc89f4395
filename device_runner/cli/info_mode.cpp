#include "cli/info_mode.h"

#include <fstream>
#include <sstream>

#include "engine/affinity.h"
#include "engine/provenance.h"
#include "records/json.h"

namespace slm {
namespace {

// Words of the first "flags" (x86) or "Features" (arm) line; empty where /proc is not mounted.
std::vector<std::string> CpuFeatures() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags") && !line.starts_with("Features")) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    std::vector<std::string> features;
    for (std::string word; words >> word;) features.push_back(word);
    return features;
  }
  return {};
}

template <typename Facts>
std::string TensorsJson(const std::vector<Facts>& tensors) {
  std::vector<std::string> elements;
  elements.reserve(tensors.size());
  for (const Facts& tensor : tensors) {
    elements.push_back(
        JsonObject().Add("name", tensor.name).Add("type", tensor.type).Add("shape", tensor.shape).text());
  }
  return JsonArray(elements);
}

}  // namespace

void InfoMode::AddFlags(Flags& flags) {
  flags.Text("--model", run.session.model, "PATH", "an artifact's folder or a model file to describe");
  run.AddEngineFlags(flags);
}

Status InfoMode::Run(Engine& engine, RecordSink& out, StopToken) const {
  if (Status status = run.session.Check(); !status.ok()) return status;
  const EngineOptions engine_options = run.session.ForEngine();
  if (Status status = engine.Open(engine_options); !status.ok()) return status;
  JsonObject info;
  info.Add("runner_version", RunnerVersion())
      .Add("build_type", BuildType())
      .Add("abi", Abi())
      .Add("engine", engine.name())
      .Add("engine_version", engine.version())
      .Add("engine_interface_version", engine.interface_version())
      .Add("providers", engine.providers())
      .Add("cpus", AvailableCpus())
      .Add("cpu_features", CpuFeatures())
      .Add("kernel_sets", engine.kernel_sets());
  if (!run.session.model.empty()) {
    Stopwatch watch;
    if (Status status = engine.Load(engine_options, watch); !status.ok()) return status;
    const ModelFacts& model = engine.model();
    info.Add("kernels", engine.kernels());
    info.Raw("model", JsonObject()
                          .Add("vocab_size", model.vocab_size)
                          .Add("context_length", model.context_length)
                          .Add("layers", model.layers)
                          .Add("kv_heads", model.kv_heads)
                          .Add("head_dim", model.head_dim)
                          .Raw("states", TensorsJson(model.states))
                          .Raw("inputs", TensorsJson(model.inputs))
                          .Raw("outputs", TensorsJson(model.outputs))
                          .text());
  }
  return out.Write(info.text() + "\n");
}

}  // namespace slm
