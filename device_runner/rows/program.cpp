#include "rows/program.h"

#include <algorithm>
#include <atomic>
#include <numeric>
#include <type_traits>
#include <utility>
#include <variant>

#include "engine/clock.h"
#include "kernels/task_sizes.h"
#include "rows/compile.h"

namespace slm::rows {
namespace {

// Most rows that a thread takes at once: their intermediate results and one tile of weights fit its cache.
constexpr int64_t kMaximumBlockRows = 32;
// With fewer rows per thread the threads share each product instead.
constexpr int64_t kMinimumRowsPerThread = 8;

}  // namespace

Program::Program(Graph graph, std::shared_ptr<Resources> resources)
    : resources_(std::move(resources)), compiled_(Compile(std::move(graph), resources_->memory)) {}

void Program::Run(std::span<float* const> arguments, int64_t rows, std::vector<int64_t>* step_ns) {
  const int64_t threads = resources_->threads->threads();
  const int64_t per_thread = (rows + threads - 1) / threads;
  const bool shared = threads > 1 && per_thread < kMinimumRowsPerThread;
  const int64_t block_rows = std::min(kMaximumBlockRows, shared ? rows : per_thread);
  Reserve(block_rows);
  const size_t timed = step_ns == nullptr ? 0 : compiled_.steps.size();
  std::vector<int64_t> times(timed * static_cast<size_t>(threads));
  const auto run = [&](int64_t first, int64_t thread) {
    Workspace& workspace = resources_->workspaces[static_cast<size_t>(thread)];
    RunBlock({compiled_.places, arguments, first, std::min(block_rows, rows - first), block_rows, &workspace},
             shared, std::span(times).subspan(timed * static_cast<size_t>(thread), timed));
  };
  const auto collect = [&] {
    if (step_ns == nullptr) return;
    step_ns->assign(timed, 0);
    for (size_t at = 0; at < times.size(); ++at) (*step_ns)[at % timed] += times[at];
  };
  if (shared || threads == 1) {
    for (int64_t first = 0; first < rows; first += block_rows) run(first, 0);
    return collect();
  }
  const int64_t started_ns = MonotonicNs();
  std::atomic<int64_t> next = 0;
  resources_->threads->Run(threads, [&](int64_t thread) {
    for (int64_t first = next.fetch_add(block_rows); first < rows; first = next.fetch_add(block_rows)) {
      run(first, thread);
    }
  });
  const auto whole_ns = static_cast<double>(MonotonicNs() - started_ns);
  collect();
  if (step_ns == nullptr) return;
  const int64_t together_ns = std::accumulate(step_ns->begin(), step_ns->end(), int64_t{0});
  for (int64_t& ns : *step_ns) {
    ns = static_cast<int64_t>(static_cast<double>(ns) * whole_ns /
                              static_cast<double>(std::max<int64_t>(together_ns, 1)));
  }
}

void Program::Reserve(int64_t block_rows) {
  const auto fit = [](auto& buffer, int64_t size) {
    if (buffer.size() < static_cast<size_t>(size)) buffer.resize(static_cast<size_t>(size));
  };
  resources_->workspaces.resize(static_cast<size_t>(resources_->threads->threads()));
  for (Workspace& workspace : resources_->workspaces) {
    fit(workspace.values, compiled_.workspace_width * block_rows);
    for (const Step& step : compiled_.steps) {
      const auto* products = std::get_if<ProductsStep>(&step);
      if (products == nullptr) continue;
      const kernels::WeightLayout& layout = products->matrices.front().layout;
      const int64_t rows = block_rows * products->rows_per_row;
      fit(workspace.bytes, rows * layout.padded_columns());
      fit(workspace.scales, rows * layout.blocks());
      fit(workspace.initial_sums, rows * layout.blocks());
      fit(workspace.sums, rows * layout.blocks());
    }
  }
}

void Program::RunBlock(const Block& block, bool shared, std::span<int64_t> step_ns) const {
  if (step_ns.empty()) {
    for (const Step& step : compiled_.steps) RunStep(block, shared, step);
    return;
  }
  Stopwatch watch;
  int64_t before = 0;
  for (size_t at = 0; at < step_ns.size(); ++at) {
    RunStep(block, shared, compiled_.steps[at]);
    const int64_t now = watch.ns();
    step_ns[at] += now - before;
    before = now;
  }
}

void Program::RunStep(const Block& block, bool shared, const Step& step) const {
  std::visit(
      [&](const auto& kind) {
        if constexpr (std::is_same_v<decltype(kind), const ProductsStep&>) {
          Multiply(block, kind, shared);
        } else {
          rows::Run(*resources_->kernels, block, kind);
        }
      },
      step);
}

void Program::Multiply(const Block& block, const ProductsStep& step, bool shared) const {
  Workspace& workspace = *block.workspace;
  const kernels::QuantizedRows rows{block.rows * step.rows_per_row, workspace.bytes.data(),
                                    workspace.scales.data(), workspace.initial_sums.data(),
                                    workspace.sums.data()};
  const kernels::KernelSet& kernels = *resources_->kernels;
  kernels.quantize(step.matrices.front().layout, block.At(step.input), rows);
  int64_t tiles = 0;
  int64_t work_bytes = 0;
  for (const Matrix& matrix : step.matrices) {
    tiles += matrix.layout.tiles();
    work_bytes += matrix.layout.bytes() * rows.rows;
  }
  // The tiles of all matrices are counted on from one to the next.
  const auto multiply = [&](int64_t first, int64_t last) {
    int64_t start = 0;
    for (const Matrix& matrix : step.matrices) {
      const int64_t end = start + matrix.layout.tiles();
      if (first < end && start < last) {
        const kernels::Product product{matrix.layout, matrix.packed,
                                       matrix.bias.empty() ? nullptr : matrix.bias.data(),
                                       block.At(matrix.output)};
        kernels.multiply(product, rows, std::max(first, start) - start, std::min(last, end) - start);
      }
      start = end;
    }
  };
  const int64_t threads = shared ? resources_->threads->threads() : 1;
  const int64_t tasks = kernels::TaskCount(work_bytes, tiles, threads);
  if (tasks == 1) return multiply(0, tiles);
  resources_->threads->Run(tasks,
                           [&](int64_t task) { multiply(tiles * task / tasks, tiles * (task + 1) / tasks); });
}

}  // namespace slm::rows
