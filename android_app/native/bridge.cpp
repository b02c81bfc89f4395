// What slm.toolkit.core.NativeRunner calls. Text crosses as bytes: paths need not be UTF-8, and NewStringUTF
// takes neither a zero nor half a character.
#include <jni.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command_line.h"
#include "cli/exit_code.h"
#include "engine/stop.h"
#include "engine_of_library.h"
#include "java_bytes.h"

namespace {

// One run; cancel and tell may come from another thread while it goes on.
struct Run {
  Run() {
    if (pipe(ends.data()) != 0) ends = {-1, -1};
  }
  ~Run() {
    Close(0);
    Close(1);
  }
  void Close(size_t end) {
    if (ends[end] >= 0) close(ends[end]);
    ends[end] = -1;
  }
  bool Tell(std::string_view text) {
    const std::lock_guard lock(telling);
    while (!text.empty()) {
      const ssize_t count = write(ends[1], text.data(), text.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return false;
      text.remove_prefix(static_cast<size_t>(count));
    }
    return true;
  }
  void Finish() {
    const std::lock_guard lock(telling);
    Close(1);
  }

  slm::StopSource stop;
  // What the mode serve reads requests from, and what they are written to.
  std::array<int, 2> ends{-1, -1};
  // A descriptor that is closed may be another file's a moment later.
  std::mutex telling;
};

Run& OfHandle(jlong handle) { return *reinterpret_cast<Run*>(handle); }

// Hands lines to a slm.toolkit.core.RunOutput, on the thread that runs.
class JavaOutput final : public slm::RecordSink {
 public:
  JavaOutput(JNIEnv* env, jobject output) : env_(env), output_(output) {
    jclass type = env->GetObjectClass(output);
    out_ = env->GetMethodID(type, "out", "([B)V");
    error_ = env->GetMethodID(type, "error", "([B)V");
  }

  slm::Status Write(std::string_view line) override {
    if (Call(out_, line)) return {};
    return {slm::ErrorKind::kOutput, "the output cannot be taken"};
  }
  void WriteError(std::string_view line) { Call(error_, line); }

 private:
  // False when Java threw; what it threw is dropped, for the outcome tells it.
  bool Call(jmethodID method, std::string_view line) {
    jbyteArray bytes = slm::Bytes(env_, line);
    if (bytes != nullptr) {
      env_->CallVoidMethod(output_, method, bytes);
      // A run writes more lines than a native frame may hold references.
      env_->DeleteLocalRef(bytes);
    }
    if (!env_->ExceptionCheck()) return true;
    env_->ExceptionClear();
    return false;
  }

  JNIEnv* env_;
  jobject output_;
  jmethodID out_;
  jmethodID error_;
};

std::vector<std::string> Texts(JNIEnv* env, jobjectArray arrays) {
  std::vector<std::string> texts(static_cast<size_t>(env->GetArrayLength(arrays)));
  for (size_t index = 0; index < texts.size(); ++index) {
    auto* bytes = static_cast<jbyteArray>(env->GetObjectArrayElement(arrays, static_cast<jsize>(index)));
    texts[index] = slm::Text(env, bytes);
    env->DeleteLocalRef(bytes);
  }
  return texts;
}

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL Java_slm_toolkit_core_NativeRunner_create(JNIEnv*, jobject) {
  return reinterpret_cast<jlong>(new Run());
}

JNIEXPORT void JNICALL Java_slm_toolkit_core_NativeRunner_destroy(JNIEnv*, jobject, jlong handle) {
  delete &OfHandle(handle);
}

JNIEXPORT void JNICALL Java_slm_toolkit_core_NativeRunner_cancel(JNIEnv*, jobject, jlong handle) {
  OfHandle(handle).stop.Request();
}

// False where nobody reads any more.
JNIEXPORT jboolean JNICALL Java_slm_toolkit_core_NativeRunner_tell(JNIEnv* env, jobject, jlong handle,
                                                                   jbyteArray request) {
  return OfHandle(handle).Tell(slm::Text(env, request)) ? JNI_TRUE : JNI_FALSE;
}

JNIEXPORT void JNICALL Java_slm_toolkit_core_NativeRunner_finish(JNIEnv*, jobject, jlong handle) {
  OfHandle(handle).Finish();
}

JNIEXPORT jint JNICALL Java_slm_toolkit_core_NativeRunner_run(JNIEnv* env, jobject, jlong handle,
                                                              jobjectArray arguments, jobject output) {
  const std::vector<std::string> texts = Texts(env, arguments);
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  JavaOutput sink(env, output);
  const std::string_view name = slm::LibraryName();
  Run& run = OfHandle(handle);
  slm::Status status;
  if (run.ends[0] < 0) {
    status = {slm::ErrorKind::kOutput, "no pipe can be made: too many files are open"};
  } else {
    const std::unique_ptr<slm::Engine> engine = slm::NewEngine();
    status = slm::RunCommandLine(views, name, name, *engine, sink, run.stop, run.ends[0]);
  }
  // Whoever still writes is told that nobody reads.
  run.Close(0);
  // Cancelling is to a run in an app what SIGTERM is to one in the shell.
  if (!status.ok()) sink.WriteError(slm::ErrorLine(name, status, SIGTERM));
  return slm::ExitCodeOf(status, SIGTERM);
}

}  // extern "C"
