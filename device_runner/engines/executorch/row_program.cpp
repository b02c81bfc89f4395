#include "engines/executorch/row_program.h"

#include <algorithm>
#include <atomic>

#include "engines/executorch/threads.h"

namespace slm {
namespace {

// Most rows that a thread takes at once: their intermediate results and one tile of weights fit its cache.
constexpr int64_t kMostBlockRows = 32;
// With fewer rows per thread the threads share each product instead.
constexpr int64_t kLeastRowsPerThread = 8;
// Below this much weight per task, handing the task to another thread costs more than doing it.
constexpr int64_t kLeastTaskBytes = 16 << 10;
// More tasks than threads, so that fast cores take over from slow ones.
constexpr int64_t kTasksPerThread = 4;

}  // namespace

float* RowProgram::At(const Block& block, uint32_t value) const {
  const Place& place = places_[value];
  switch (place.kind) {
    case Place::Kind::kArgument:
      return block.arguments[place.position] + block.first * place.width;
    case Place::Kind::kWorkspace:
      return block.workspace->values.data() + place.offset * block.capacity;
    default:
      // Constants are only ever read.
      return const_cast<float*>(place.constant);
  }
}

void RowProgram::Run(std::span<float* const> arguments, int64_t rows) {
  const int64_t threads = resources_->threads;
  const int64_t per_thread = (rows + threads - 1) / threads;
  const bool shared = threads > 1 && per_thread < kLeastRowsPerThread;
  const int64_t block_rows = std::min(kMostBlockRows, shared ? rows : per_thread);
  Reserve(block_rows);
  const auto run = [&](int64_t first, size_t thread) {
    RunBlock({arguments, first, std::min(block_rows, rows - first), block_rows,
              &resources_->workspaces[thread], shared});
  };
  if (shared || threads == 1) {
    for (int64_t first = 0; first < rows; first += block_rows) run(first, 0);
    return;
  }
  std::atomic<int64_t> next = 0;
  InParallel(static_cast<size_t>(threads), [&](size_t thread) {
    for (int64_t first = next.fetch_add(block_rows); first < rows; first = next.fetch_add(block_rows)) {
      run(first, thread);
    }
  });
}

void RowProgram::Reserve(int64_t block_rows) {
  const auto fit = [](auto& buffer, int64_t size) {
    if (buffer.size() < static_cast<size_t>(size)) buffer.resize(static_cast<size_t>(size));
  };
  resources_->workspaces.resize(static_cast<size_t>(resources_->threads));
  for (RowResources::Workspace& workspace : resources_->workspaces) {
    fit(workspace.values, workspace_width_ * block_rows);
    for (const Step& step : steps_) {
      if (step.kind != Step::Kind::kProducts) continue;
      const kernels::WeightLayout& layout = step.matrices.front().layout;
      const int64_t rows = block_rows * step.rows_per_row;
      fit(workspace.bytes, rows * layout.padded_columns());
      fit(workspace.scales, rows * layout.blocks());
      fit(workspace.starts, rows * layout.blocks());
      fit(workspace.sums, rows * layout.blocks());
    }
  }
}

void RowProgram::RunBlock(const Block& block) const {
  for (const Step& step : steps_) {
    switch (step.kind) {
      case Step::Kind::kUnary:
        Apply(step.unary, At(block, step.left), At(block, step.output), block.rows * step.inner);
        break;
      case Step::Kind::kBinary: {
        const auto operand = [&](uint32_t value, const Strides& strides) {
          return Operand{At(block, value), strides.row, strides.outer, strides.inner};
        };
        const auto is_flat = [&](const Strides& strides) {
          return strides.row == strides.inner * step.inner;
        };
        const bool flat = step.outer == 1 && is_flat(step.left_strides) && is_flat(step.right_strides);
        Apply(step.binary, operand(step.left, step.left_strides), operand(step.right, step.right_strides),
              At(block, step.output), flat ? 1 : block.rows, step.outer,
              flat ? block.rows * step.inner : step.inner);
        break;
      }
      case Step::Kind::kWeightedSums:
        WeightedSums(At(block, step.left), places_[step.right].constant, step.bias, At(block, step.output),
                     block.rows * step.rows_per_row, step.inner);
        break;
      case Step::Kind::kCopy:
        CopyColumns(At(block, step.left) + step.input_start, step.input_stride,
                    At(block, step.output) + step.output_start, step.output_stride, block.rows * step.outer,
                    step.inner);
        break;
      case Step::Kind::kProducts:
        Multiply(block, step);
        break;
    }
  }
}

void RowProgram::Multiply(const Block& block, const Step& step) const {
  RowResources::Workspace& workspace = *block.workspace;
  const kernels::QuantizedRows rows{block.rows * step.rows_per_row, workspace.bytes.data(),
                                    workspace.scales.data(), workspace.starts.data(), workspace.sums.data()};
  const kernels::KernelSet& kernels = *resources_->kernels;
  kernels.quantize(step.matrices.front().layout, At(block, step.left), rows);
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
                                       At(block, matrix.output)};
        kernels.multiply(product, rows, std::max(first, start) - start, std::min(last, end) - start);
      }
      start = end;
    }
  };
  const int64_t most = std::min<int64_t>(tiles, resources_->threads * kTasksPerThread);
  const int64_t tasks = block.shared ? std::clamp<int64_t>(work_bytes / kLeastTaskBytes, 1, most) : 1;
  if (tasks == 1) return multiply(0, tiles);
  InParallel(static_cast<size_t>(tasks), [&](size_t task) {
    const auto at = static_cast<int64_t>(task);
    multiply(tiles * at / tasks, tiles * (at + 1) / tasks);
  });
}

}  // namespace slm
