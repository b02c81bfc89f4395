package slm.toolkit.core

/** A result that is not whole, of another run or malformed: there are no figures of it. */
class ResultError(message: String) : Exception(message)

/** Figures of a whole run, as the host computes them from the same records. */
class Figures(
    val start: Map<String, Any?>,
    val prefillTokensPerSecond: Double,
    val prefillStdev: Double?,
    val decodeTokensPerSecond: Double?,
    val decodeStdev: Double?,
    val ttftNs: Long,
    val loadNs: Long,
    val peakBytes: Long,
    /** Nanoseconds of each decode step, one list per measured repetition. */
    val decodeNs: List<List<Long>>,
)

/**
 * Figures of the records in a result file, schema slm-result/1.
 *
 * @throws ResultError unless it is whole.
 */
fun figuresOf(text: String, runId: String): Figures {
    val records = text.lines().filter(String::isNotBlank).mapIndexed { number, line -> record(line, number, runId) }
    val start = records.firstOrNull()?.takeIf { it["record"] == "start" && it["schema"] == "slm-result/1" }
        ?: throw ResultError("does not begin with a start record")
    val end = records.last()
    if (end["record"] != "end" || end["records"] != records.size - 1L) throw ResultError("is cut short")
    val repetitions = records.filter { it["record"] == "repetition" }
    val fewest = start.long("warmup") + start.long("repetitions")
    // Of a run that fills a time there may be more.
    val most = if ((start["repeat_s"] as? Long ?: 0) > 0) Long.MAX_VALUE else fewest
    if (repetitions.size.toLong() !in fewest..most) throw ResultError("lacks repetitions")
    val measured = repetitions.filter { it["warmup"] == false }.ifEmpty { throw ResultError("measured nothing") }
    val steps = measured.map { it.longs("decode_ns") }
    val prefill = measured.map { tokensPerSecond(start.long("prompt_tokens"), it.positive("prefill_ns")) }
    val decode = steps.filter { it.isNotEmpty() }.map { tokensPerSecond(it.size.toLong(), it.sum()) }
    val memory = records.find { it["record"] == "memory" } ?: throw ResultError("lacks the memory record")
    return Figures(
        start, median(prefill)!!, sampleStdev(prefill), median(decode), sampleStdev(decode),
        Math.rint(median(measured.map { it.positive("prefill_ns").toDouble() })!!).toLong(),
        start.long("load_ns"), memory.long("peak_bytes"), steps,
    )
}

@Suppress("UNCHECKED_CAST")
private fun record(line: String, number: Int, runId: String): Map<String, Any?> {
    val record = try {
        parseJson(line) as? Map<String, Any?>
    } catch (error: JsonError) {
        throw ResultError("line ${number + 1}: ${error.message}")
    }
    if (record?.get("run_id") != runId) throw ResultError("line ${number + 1} is of another run")
    return record
}

private fun Map<String, Any?>.long(name: String): Long = this[name] as? Long ?: throw ResultError("$name is no number")

private fun Map<String, Any?>.positive(name: String): Long =
    long(name).also { if (it <= 0) throw ResultError("$name is not above zero") }

private fun Map<String, Any?>.longs(name: String): List<Long> {
    val values = this[name] as? List<*> ?: throw ResultError("$name is no list")
    return values.map { (it as? Long)?.takeIf { ns -> ns > 0 } ?: throw ResultError("$name holds no durations") }
}

// What must be alike for two runs on one phone to be compared.
private val WORK = listOf(
    "engine", "engine_version", "kernels", "threads", "affinity", "prompt_tokens", "generate_tokens", "depth",
    "prefill_chunk", "context_length", "warmup",
)

// Runners of before reserved what a run used.
private fun reserve(figures: Figures) = figures.start["reserve"] ?: "run"

/** Whether two runs did the same work, with whatever model. */
fun comparable(one: Figures, other: Figures): Boolean =
    WORK.all { one.start[it] == other.start[it] } && reserve(one) == reserve(other)
