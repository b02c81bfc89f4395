package slm.toolkit.core

import java.io.File
import java.io.FileOutputStream

/** What keeps the run's process going, by the host's word for it. */
enum class AppState(val word: String) {
    ACTIVITY("activity"),
    SERVICE("service"),
}

/** What only an app can ask about itself and its phone; null where Android does not say. */
interface Platform {
    /** Names and values of a record, in order: numbers, texts, true or false, null. */
    fun readings(): Map<String, Any?>
}

/**
 * Writes the file `app.jsonl`: what the app's process was allowed and what it used, before the engine is opened, at
 * every record that a repetition begins or ends with, and after the run.
 */
class Sampler(private val folder: RunFolder, private val platform: Platform) {
    private var index = 0
    private val pageBytes: Long? = pageBytes()

    /** Looks at a line of the runner and takes a sample where the measured work stands still. */
    fun seen(line: ByteArray) {
        val text = String(line, 0, minOf(line.size, BEGINNING), Charsets.ISO_8859_1)
        val record = RECORDS.find { text.startsWith("{\"record\":\"$it\"") } ?: return
        sample(record)
    }

    /** Takes a sample; [also] is what is known of this moment alone. */
    fun sample(moment: String, also: Map<String, Any?> = emptyMap()) {
        val facts = linkedMapOf<String, Any?>(
            "record" to "app", "run_id" to folder.id, "moment" to moment, "index" to index++,
            "unix_ns" to System.currentTimeMillis() * 1_000_000, "contract" to CONTRACT,
            "page_bytes" to pageBytes,
        )
        val status = readable("/proc/self/status")
        for ((name, word) in STATUS) facts[name] = status?.let { kilobytes(it, word) }
        facts["cpus_allowed"] = status?.let { line(it, "Cpus_allowed_list") }
        facts["cgroups"] = readable("/proc/self/cgroup")?.trim()
        facts += platform.readings().mapValues { (_, value) -> value.takeUnless(::isUnknown) }
        facts += also
        FileOutputStream(folder.file(RunFolder.APP), true).use { it.write((json(facts) + "\n").toByteArray()) }
    }

    private companion object {
        const val BEGINNING = 40
        const val KILO = 1024L
        val RECORDS = listOf("start", "gate", "repetition", "memory")
        val STATUS = listOf("rss_bytes" to "VmRSS", "swap_bytes" to "VmSwap", "hwm_bytes" to "VmHWM")

        /** Android answers questions that a phone cannot with the smallest integer, or with what is no number. */
        fun isUnknown(value: Any?): Boolean = when (value) {
            is Int -> value == Int.MIN_VALUE
            is Long -> value == Int.MIN_VALUE.toLong() || value == Long.MIN_VALUE
            is Float -> !value.isFinite()
            is Double -> !value.isFinite()
            else -> false
        }

        fun readable(path: String): String? = try {
            File(path).readText()
        } catch (_: java.io.IOException) {
            null
        }

        fun line(status: String, word: String): String? =
            status.lineSequence().find { it.startsWith("$word:") }?.substringAfter(':')?.trim()

        fun kilobytes(status: String, word: String): Long? =
            line(status, word)?.substringBefore(' ')?.toLongOrNull()?.times(KILO)

        // The first mapping is enough; the whole file takes long.
        fun pageBytes(): Long? = try {
            File("/proc/self/smaps").useLines { lines -> lines.firstOrNull { it.startsWith("KernelPageSize") } }
                ?.let { kilobytes(it, "KernelPageSize") }
        } catch (_: java.io.IOException) {
            null
        }
    }
}
