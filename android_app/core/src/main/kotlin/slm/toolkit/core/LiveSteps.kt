package slm.toolkit.core

/** The decode steps in records that are still being written; for a chart, never for figures. */
class LiveSteps {
    private val all = mutableListOf<List<Long>>()

    /** What has come so far, one list per repetition. */
    val repetitions: List<List<Long>> @Synchronized get() = all.toList()

    /** Takes a line of the runner; true when it was a repetition. */
    @Synchronized
    fun take(line: String): Boolean {
        val record = try {
            parseJson(line) as? Map<*, *>
        } catch (_: JsonError) {
            null
        }
        if (record?.get("record") != "repetition") return false
        all += (record["decode_ns"] as? List<*>).orEmpty().filterIsInstance<Long>()
        return true
    }
}
