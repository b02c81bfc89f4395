// Drives llama.cpp through its C API so that it does exactly the work of our runner: one prefill, the
// first token greedily, then single-token steps at growing depth, logits for the last token only.
// Built by the benchmark against the headers and libraries of the installed llama-cpp-python wheel, so
// there is no interpreter in the measured process, neither in its time nor in its memory.
//
//   llama_cpp_driver profile    MODEL REQUEST OUTPUT
//   llama_cpp_driver perplexity MODEL REQUEST OUTPUT
//   llama_cpp_driver quantize   INPUT OUTPUT FTYPE THREADS
//   llama_cpp_driver info
//
// REQUEST is whitespace-separated "key value" lines; token lists are preceded by their length.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "llama.h"

namespace {

struct Request {
    int threads = 1;
    int context = 0;
    int flash_attention = LLAMA_FLASH_ATTN_TYPE_AUTO;
    int generate_tokens = 1;
    int warmup = 0;
    int repetitions = 1;
    std::vector<std::vector<llama_token>> sequences;
};

Request read_request(const std::string& path) {
    std::ifstream file(path);
    Request request;
    std::string key;
    while (file >> key) {
        if (key == "threads") file >> request.threads;
        else if (key == "context") file >> request.context;
        else if (key == "flash_attention") file >> request.flash_attention;
        else if (key == "generate_tokens") file >> request.generate_tokens;
        else if (key == "warmup") file >> request.warmup;
        else if (key == "repetitions") file >> request.repetitions;
        else if (key == "tokens") {
            std::size_t count = 0;
            file >> count;
            std::vector<llama_token> tokens(count);
            for (llama_token& token : tokens) file >> token;
            request.sequences.push_back(std::move(tokens));
        } else throw std::runtime_error("unknown key in request: " + key);
    }
    if (!file.eof() || request.sequences.empty()) throw std::runtime_error("malformed request: " + path);
    return request;
}

std::int64_t now_ns() {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(
               std::chrono::steady_clock::now().time_since_epoch())
        .count();
}

std::int64_t peak_rss_bytes() {
    std::ifstream status("/proc/self/status");
    std::string word;
    while (status >> word) {
        if (word == "VmHWM:") {
            std::int64_t kilobytes = 0;
            status >> kilobytes;
            return kilobytes * 1024;
        }
    }
    throw std::runtime_error("no VmHWM in /proc/self/status");
}

struct Engine {
    std::unique_ptr<llama_model, decltype(&llama_model_free)> model{nullptr, llama_model_free};
    std::unique_ptr<llama_context, decltype(&llama_free)> context{nullptr, llama_free};
    int vocabulary = 0;
    std::int64_t load_ns = 0;

    Engine(const std::string& path, const Request& request) {
        const std::int64_t started = now_ns();
        llama_backend_init();
        model.reset(llama_model_load_from_file(path.c_str(), llama_model_default_params()));
        if (!model) throw std::runtime_error("llama.cpp cannot load " + path);
        const std::size_t longest =
            std::max_element(request.sequences.begin(), request.sequences.end(), [](auto& a, auto& b) {
                return a.size() < b.size();
            })->size();
        llama_context_params parameters = llama_context_default_params();
        parameters.n_ctx = static_cast<std::uint32_t>(request.context);
        // The whole prompt in one batch: llama.cpp's fastest prefill.
        parameters.n_batch = parameters.n_ubatch = static_cast<std::uint32_t>(longest);
        parameters.n_threads = parameters.n_threads_batch = request.threads;
        parameters.flash_attn_type = static_cast<llama_flash_attn_type>(request.flash_attention);
        parameters.no_perf = true;
        context.reset(llama_init_from_model(model.get(), parameters));
        if (!context) throw std::runtime_error("llama.cpp cannot make a context");
        vocabulary = llama_vocab_n_tokens(llama_model_get_vocab(model.get()));
        load_ns = now_ns() - started;
    }

    void decode(llama_batch batch) {
        if (const int code = llama_decode(context.get(), batch); code != 0) {
            throw std::runtime_error("llama_decode failed with " + std::to_string(code));
        }
    }

    llama_token greedy() {
        const float* logits = llama_get_logits_ith(context.get(), -1);
        return static_cast<llama_token>(std::max_element(logits, logits + vocabulary) - logits);
    }

    void clear() { llama_memory_clear(llama_get_memory(context.get()), false); }
};

std::string joined(const std::vector<std::int64_t>& values) {
    std::string text;
    for (const std::int64_t value : values) text += (text.empty() ? "" : ", ") + std::to_string(value);
    return "[" + text + "]";
}

void profile(const std::string& model, const Request& request, const std::string& output) {
    Engine engine(model, request);
    std::vector<llama_token> prompt = request.sequences.front();
    std::string repetitions;
    std::vector<std::int64_t> generated;
    for (int index = 0; index < request.warmup + request.repetitions; ++index) {
        engine.clear();
        generated.clear();
        std::vector<std::int64_t> steps;
        steps.reserve(static_cast<std::size_t>(request.generate_tokens));
        std::int64_t started = now_ns();
        engine.decode(llama_batch_get_one(prompt.data(), static_cast<std::int32_t>(prompt.size())));
        llama_token token = engine.greedy();
        const std::int64_t prefill_ns = now_ns() - started;
        generated.push_back(token);
        for (int step = 1; step < request.generate_tokens; ++step) {
            started = now_ns();
            engine.decode(llama_batch_get_one(&token, 1));
            token = engine.greedy();
            steps.push_back(now_ns() - started);
            generated.push_back(token);
        }
        repetitions += (repetitions.empty() ? "" : ",\n    ") + std::string("{\"warmup\": ") +
                       (index < request.warmup ? "true" : "false") +
                       ", \"prefill_ns\": " + std::to_string(prefill_ns) +
                       ", \"decode_ns\": " + joined(steps) + "}";
    }
    std::ofstream file(output);
    file << "{\"load_ns\": " << engine.load_ns << ", \"peak_rss_bytes\": " << peak_rss_bytes()
         << ", \"interpreter_rss_bytes\": 0, \"threads\": " << request.threads << ", \"generated\": "
         << joined(generated) << ",\n  \"repetitions\": [\n    " << repetitions << "]}\n";
    if (!file.flush()) throw std::runtime_error("cannot write " + output);
}

void perplexity(const std::string& model, const Request& request, const std::string& output) {
    Engine engine(model, request);
    double total = 0.0;
    std::int64_t scored = 0;
    for (const std::vector<llama_token>& window : request.sequences) {
        engine.clear();
        const auto length = static_cast<std::int32_t>(window.size());
        llama_batch batch = llama_batch_init(length, 0, 1);
        for (std::int32_t position = 0; position < length; ++position) {
            batch.token[position] = window[static_cast<std::size_t>(position)];
            batch.pos[position] = position;
            batch.n_seq_id[position] = 1;
            batch.seq_id[position][0] = 0;
            batch.logits[position] = 1;
        }
        batch.n_tokens = length;
        engine.decode(batch);
        llama_batch_free(batch);
        for (std::int32_t position = 0; position + 1 < length; ++position) {
            const float* logits = llama_get_logits_ith(engine.context.get(), position);
            const float top = *std::max_element(logits, logits + engine.vocabulary);
            double sum = 0.0;
            for (int id = 0; id < engine.vocabulary; ++id) sum += std::exp(static_cast<double>(logits[id] - top));
            total += std::log(sum) + top - logits[window[static_cast<std::size_t>(position) + 1]];
            ++scored;
        }
    }
    std::ofstream file(output);
    file.precision(17);
    file << "{\"negative_log_likelihood\": " << total << ", \"scored_tokens\": " << scored << "}\n";
    if (!file.flush()) throw std::runtime_error("cannot write " + output);
}

void quantize(const std::string& input, const std::string& output, int file_type, int threads) {
    llama_backend_init();
    llama_model_quantize_params parameters = llama_model_quantize_default_params();
    parameters.ftype = static_cast<llama_ftype>(file_type);
    parameters.nthread = threads;
    // Needed once, to turn the quantized source file into fp32.
    parameters.allow_requantize = file_type == LLAMA_FTYPE_ALL_F32;
    if (llama_model_quantize(input.c_str(), output.c_str(), &parameters) != 0) {
        throw std::runtime_error("llama_model_quantize failed on " + input);
    }
}

// llama.cpp logs every graph it builds; printing that would cost the peer time.
void log_warnings_only(ggml_log_level level, const char* text, void*) {
    if (level >= GGML_LOG_LEVEL_WARN && level != GGML_LOG_LEVEL_CONT) std::fputs(text, stderr);
}

}  // namespace

int main(int argc, char** argv) {
    llama_log_set(log_warnings_only, nullptr);
    const std::vector<std::string> arguments(argv + 1, argv + argc);
    try {
        if (arguments.size() == 4 && arguments[0] == "profile") {
            profile(arguments[1], read_request(arguments[2]), arguments[3]);
        } else if (arguments.size() == 4 && arguments[0] == "perplexity") {
            perplexity(arguments[1], read_request(arguments[2]), arguments[3]);
        } else if (arguments.size() == 1 && arguments[0] == "info") {
            std::cout << llama_print_system_info() << '\n';
        } else if (arguments.size() == 5 && arguments[0] == "quantize") {
            quantize(arguments[1], arguments[2], std::stoi(arguments[3]), std::stoi(arguments[4]));
        } else {
            std::cerr << "usage: llama_cpp_driver profile|perplexity MODEL REQUEST OUTPUT\n"
                         "       llama_cpp_driver quantize INPUT OUTPUT FTYPE THREADS\n"
                         "       llama_cpp_driver info\n";
            return 2;
        }
    } catch (const std::exception& error) {
        std::cerr << "error: " << error.what() << '\n';
        return 1;
    }
    return 0;
}
