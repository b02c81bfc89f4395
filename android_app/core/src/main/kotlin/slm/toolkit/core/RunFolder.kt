package slm.toolkit.core

import java.io.File
import java.io.IOException
import java.io.RandomAccessFile

/** A run's folder in the app's own storage. The host writes some of its files and reads others, by these names. */
class RunFolder(val path: File) {
    val id: String get() = path.name

    fun file(name: String) = File(path, name)

    /** The exit code and why, once the run has ended; "137 low_memory" for instance. */
    val ending: String? get() = file(EXIT).takeIf { it.isFile }?.readText()?.trim()

    /** The process that has begun the run; null before. */
    val begunBy: Int? get() = file(BEGUN).takeIf { it.isFile }?.readText()?.trim()?.toIntOrNull()

    /**
     * Says that this process carries the run out, and keeps the space that its ending takes.
     *
     * @throws ContractError the run was begun before: whoever asks again, nobody runs it twice.
     * @throws IOException the folder cannot be written.
     */
    fun begin() {
        if (!file(BEGUN).createNewFile()) throw ContractError("run $id has begun already")
        file("$EXIT.part").writeText(" ".repeat(ENDING_BYTES))
        file(BEGUN).writeText("${ownPid()}\n")
    }

    /**
     * Written beside its place and renamed, so that it is whole or absent; over the space that [begin] has kept, so
     * that it comes onto a full disk, too.
     *
     * @return false where it cannot be written all the same.
     */
    fun end(ending: Ending): Boolean = try {
        val partial = file("$EXIT.part")
        val line = "${ending.code} ${ending.why}".padEnd(ENDING_BYTES - 1) + "\n"
        RandomAccessFile(partial, "rw").use { it.write(line.toByteArray()) }
        partial.renameTo(file(EXIT))
    } catch (_: IOException) {
        false
    }

    companion object {
        const val ARGUMENTS = "arguments"
        const val OUT = "stdout"
        const val ERROR = "stderr"
        const val RESULT = "result.jsonl"
        const val APP = "app.jsonl"
        const val BEGUN = "begun"
        const val EXIT = "exit"
        // Of a run that is to end.
        const val CANCEL = "cancel"
        // Of runs by hand: what ran, its greedy reference, and what is shared of them.
        const val MANIFEST = "manifest.json"
        const val PROMPT = "prompt.txt"
        const val CONTINUATION = "continuation.txt"
        const val SHARED = "shared.jsonl"

        private val READABLE = setOf(OUT, ERROR, RESULT, APP, EXIT, SHARED)
        // Beside the arguments what they name, on phones where the app cannot read it where adb puts it.
        private val WRITABLE = Regex("$ARGUMENTS|$PROMPT|$CONTINUATION|conversation\\.json|open-[0-9]{1,9}")
        private val ID = Regex("[0-9a-z]{16}")
        private const val ENDING_BYTES = 64

        /** @throws ContractError what is no id of a run; no path out of [runs] passes. */
        fun of(runs: File, id: String?): RunFolder {
            if (id == null || !ID.matches(id)) throw ContractError("'$id' is no id of a run")
            return RunFolder(File(runs, id))
        }

        /**
         * The file that a path of two parts names: a run's id and a file's name.
         *
         * @throws ContractError anything that is not for the host to read or write.
         */
        fun fileFor(runs: File, parts: List<String>, write: Boolean): File {
            val name = parts.getOrNull(1)
            if (parts.size != 2 || !(if (write) WRITABLE.matches(name!!) else name in READABLE)) {
                throw ContractError("'${parts.joinToString("/")}' is nothing to ${if (write) "write" else "read"}")
            }
            return of(runs, parts[0]).file(name!!)
        }

        /** All runs, by their ids. */
        fun all(runs: File): List<RunFolder> =
            runs.listFiles().orEmpty().filter { ID.matches(it.name) && it.isDirectory }.sorted().map(::RunFolder)
    }
}

/**
 * The folder of a run that is to start now.
 *
 * @param id as it came from outside.
 * @throws ContractError it is no id, or that of a run which was never prepared or has run already.
 */
fun preparedRun(runs: File, id: String?): RunFolder {
    val folder = RunFolder.of(runs, id)
    if (!folder.file(RunFolder.ARGUMENTS).isFile) throw ContractError("run $id was never prepared")
    if (folder.ending != null) throw ContractError("run $id has ended already")
    if (folder.file(RunFolder.BEGUN).exists()) throw ContractError("run $id has begun already")
    return folder
}

private fun ownPid(): Int = File("/proc/self").canonicalFile.name.toInt()
