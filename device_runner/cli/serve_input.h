// What mode `serve` is told: turns to answer, and to stop answering one.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/status.h"
#include "engine/stop.h"
#include "session/generator.h"

namespace slm {

// One text to continue.
struct ServeTurn {
  // Given by whoever asks, larger from turn to turn; goes into the answer.
  int64_t id = 0;
  std::vector<int64_t> prompt;
  GenerationOptions generation;
};

// Reads lines beside the work, so that a stop reaches it:
//   turn ID MAXIMUM STOPS TEMPERATURE TOP_K TOP_P SEED TOKEN...
//   stop ID
// STOPS is a list of ids with commas, or "-". `stop` ends the turns up to ID, whether they have begun or not.
class ServeInput {
 public:
  // The descriptor stays open.
  ServeInput(int descriptor, StopToken stop);
  ~ServeInput();
  ServeInput(const ServeInput&) = delete;
  ServeInput& operator=(const ServeInput&) = delete;

  // Waits for the next turn; none once the input has ended. kUsage says which line is wrong, and how.
  Status Next(std::optional<ServeTurn>& turn);
  // Asks for the end of the turn that Next gave last.
  const StopSource& turn_stop() const { return turn_stop_; }

 private:
  void ReadLines();
  void Take(const std::string& line);
  void End(Status status);

  const int descriptor_;
  const StopToken stop_;
  StopSource turn_stop_;
  StopSource closing_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<ServeTurn> turns_;
  int64_t lines_ = 0;
  int64_t current_ = -1;
  int64_t stopped_up_to_ = -1;
  bool ended_ = false;
  Status end_;
  std::thread reader_;
};

}  // namespace slm
