package slm.toolkit.core

import java.io.File
import java.io.OutputStream

/** The process that runs are in, as whoever has it says. */
interface RunProcess {
    /** Whether there is one. */
    fun lives(): Boolean

    /** How the last one ended; null where nobody knows. */
    fun lastEnd(): ProcessEnd?
}

/** What a host may ask of the app, whatever carries the question: Android's provider, or a virtual phone's. */
class Door(private val runs: File, private val process: RunProcess) {
    /** The file that a content URI's path names. */
    fun file(path: List<String>, write: Boolean): File {
        val file = RunFolder.fileFor(runs, path, write)
        if (write) file.parentFile!!.mkdirs()
        return file
    }

    /** Copies what a run has said and says, until it has ended or [out] is gone. */
    fun follow(path: List<String>, out: OutputStream) {
        val file = file(path, write = false)
        val folder = RunFolder(file.parentFile!!)
        val buffer = ByteArray(BUFFER_BYTES)
        var copied = 0L
        while (true) {
            // Asked before the last look, so that nothing is written after it.
            val ended = state(folder) != RUNNING
            if (file.length() > copied) {
                file.inputStream().use { input ->
                    input.skip(copied)
                    while (true) {
                        val count = input.read(buffer)
                        if (count < 0) break
                        out.write(buffer, 0, count)
                        copied += count
                    }
                }
                out.flush()
            }
            if (ended) return
            Thread.sleep(LOOK_MS)
        }
    }

    /** "running", or the exit code and why: "137 low_memory". */
    fun state(id: String?): String = state(RunFolder.of(runs, id))

    fun delete(path: List<String>): Boolean = RunFolder.of(runs, path.singleOrNull()).path.deleteRecursively()

    fun all(): List<Pair<String, String>> = RunFolder.all(runs).map { it.id to state(it) }

    private fun state(folder: RunFolder): String {
        folder.ending?.let { return it.trim() }
        if (process.lives()) return RUNNING
        // It may have written its ending in between.
        folder.ending?.let { return it.trim() }
        // Prepared, or refused before it began: there is no process whose end could be its own.
        if (!folder.file(RunFolder.OUT).exists()) return NOT_STARTED
        val ending = endingOf(process.lastEnd())
        folder.end(ending.code, ending.why)
        return "${ending.code} ${ending.why}"
    }

    companion object {
        const val RUNNING = "running"
        const val NOT_STARTED = "13 not_started"
        private const val LOOK_MS = 50L
        private const val BUFFER_BYTES = 1 shl 16
    }
}
