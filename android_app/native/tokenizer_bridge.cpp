// What slm.toolkit.core.NativeTokenizer calls: text and token ids. Text crosses as bytes, as in bridge.cpp.
#include <jni.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/status.h"
#include "java_bytes.h"
#include "text/tokenizer.h"

namespace {

struct Words {
  slm::Tokenizer tokenizer;
  // What went wrong last.
  slm::Status status;
  // Of the tokens that come.
  std::optional<slm::TextStream> text;
};

Words& OfHandle(jlong handle) { return *reinterpret_cast<Words*>(handle); }

}  // namespace

extern "C" {

JNIEXPORT jlong JNICALL Java_slm_toolkit_core_NativeTokenizer_open(JNIEnv* env, jobject, jbyteArray path) {
  auto* words = new Words();
  words->status = slm::Tokenizer::Read(slm::Text(env, path), words->tokenizer);
  words->text.emplace(words->tokenizer);
  return reinterpret_cast<jlong>(words);
}

JNIEXPORT void JNICALL Java_slm_toolkit_core_NativeTokenizer_destroy(JNIEnv*, jobject, jlong handle) {
  delete &OfHandle(handle);
}

// Empty where nothing went wrong.
JNIEXPORT jbyteArray JNICALL Java_slm_toolkit_core_NativeTokenizer_problem(JNIEnv* env, jobject,
                                                                           jlong handle) {
  const slm::Status& status = OfHandle(handle).status;
  return slm::Bytes(env, status.ok() ? std::string_view() : std::string_view(status.message()));
}

JNIEXPORT jlongArray JNICALL Java_slm_toolkit_core_NativeTokenizer_encode(JNIEnv* env, jobject, jlong handle,
                                                                          jbyteArray text, jboolean special) {
  Words& words = OfHandle(handle);
  std::vector<int64_t> ids;
  words.status = words.tokenizer.Encode(slm::Text(env, text), special == JNI_TRUE, ids);
  const auto size = static_cast<jsize>(ids.size());
  jlongArray array = env->NewLongArray(size);
  static_assert(sizeof(jlong) == sizeof(int64_t));
  if (array != nullptr) env->SetLongArrayRegion(array, 0, size, reinterpret_cast<const jlong*>(ids.data()));
  return array;
}

// The text that a token completes, in whole characters.
JNIEXPORT jbyteArray JNICALL Java_slm_toolkit_core_NativeTokenizer_take(JNIEnv* env, jobject, jlong handle,
                                                                        jlong token) {
  return slm::Bytes(env, OfHandle(handle).text->Take(token));
}

// What is left of a text; the next token begins another one.
JNIEXPORT jbyteArray JNICALL Java_slm_toolkit_core_NativeTokenizer_finish(JNIEnv* env, jobject,
                                                                          jlong handle) {
  Words& words = OfHandle(handle);
  const std::string rest = words.text->Finish();
  words.text.emplace(words.tokenizer);
  return slm::Bytes(env, rest);
}

}  // extern "C"
