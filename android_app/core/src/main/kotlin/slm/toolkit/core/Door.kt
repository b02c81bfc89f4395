package slm.toolkit.core

import java.io.File
import java.io.IOException
import java.io.OutputStream

/** The processes that runs are in, as whoever has them says. */
interface RunProcesses {
    fun lives(pid: Int): Boolean

    /** How one that is gone ended; null where nobody knows, or does not yet. */
    fun endOf(pid: Int): ProcessEnd?
}

/** A table, as `content query` shows it; each of [rows] has a value for each of [names]. */
class Rows(val names: List<String>, val rows: List<List<Any?>>)

/** What a host may ask of the app, whatever carries the question: Android's provider, or a virtual phone's. */
class Door(private val runs: File, private val processes: RunProcesses, private val engines: () -> Set<Engine>) {
    private val copies = Copies(artifactsBeside(runs))

    /** The file that a content URI's path names: RUN/FILE, or artifacts/ARTIFACT/FILE to write. */
    fun file(path: List<String>, write: Boolean): File {
        val copied = if (path.firstOrNull() == COPIES && write) copies.fileFor(path.drop(1)) else null
        val file = copied ?: RunFolder.fileFor(runs, path, write)
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

    /**
     * Asks a run to end, which is in another process: it looks for the file that this leaves.
     *
     * @throws ContractError there is no such run, or no room even for that.
     */
    fun cancel(id: String?) {
        val folder = RunFolder.of(runs, id)
        if (!folder.path.isDirectory) throw ContractError("there is no run $id")
        try {
            folder.file(RunFolder.CANCEL).createNewFile()
        } catch (failed: IOException) {
            throw ContractError("run $id cannot be asked to end: ${failed.message}")
        }
    }

    /** Deletes a run, or with artifacts/ARTIFACT what was copied of it. */
    fun delete(path: List<String>): Boolean =
        if (path.firstOrNull() == COPIES) copies.delete(path.drop(1)) else RunFolder.of(runs, path.singleOrNull()).path.deleteRecursively()

    /** "whole", or why there is no such artifact in the app's own storage; looked at and, where it was just copied, settled. */
    fun adopt(id: String?): String = copies.adopt(id)

    /** What is asked for row by row: all runs, with `engines` the app's engines, and else one file. */
    fun rows(path: List<String>): Rows = when (path) {
        emptyList<String>() -> Rows(listOf("run_id", "state"), RunFolder.all(runs).map { listOf(it.id, state(it)) })
        listOf(ENGINES) -> Rows(listOf("engine", "version", "providers", "problem"), engines().sorted().map(::described))
        else -> {
            val file = file(path, write = false)
            // By the names that Android's programs ask with.
            Rows(listOf("_display_name", "_size"), listOf(listOf("slm-run-${path[0]}-${file.name}", file.length())))
        }
    }

    private fun described(engine: Engine): List<String?> = try {
        factsOf(engine).let { listOf(engine.word, it.version, it.providers.joinToString(" "), null) }
    } catch (refused: RunnerEnded) {
        listOf(engine.word, null, null, refused.message)
    }

    private fun state(folder: RunFolder): String {
        folder.ending?.let { return it }
        // Prepared, or refused before it began: no process is its own.
        val pid = folder.begunBy ?: return NOT_STARTED
        if (processes.lives(pid)) return RUNNING
        val end = endOf(pid)
        // It may have written its ending in between.
        folder.ending?.let { return it }
        val ending = endingOf(end)
        folder.end(ending)
        return "${ending.code} ${ending.why}"
    }

    /** Android notes a moment after a process has gone how it ended. */
    private fun endOf(pid: Int): ProcessEnd? {
        repeat(END_LOOKS) {
            processes.endOf(pid)?.let { return it }
            Thread.sleep(LOOK_MS)
        }
        return null
    }

    companion object {
        const val RUNNING = "running"
        const val NOT_STARTED = "13 not_started"
        private const val COPIES = "artifacts"
        private const val ENGINES = "engines"
        private const val LOOK_MS = 50L
        private const val END_LOOKS = 40
        private const val BUFFER_BYTES = 1 shl 16
    }
}
