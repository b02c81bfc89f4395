package slm.toolkit.checks

import java.io.File
import kotlin.system.exitProcess
import slm.toolkit.core.AppState
import slm.toolkit.core.CONTRACT
import slm.toolkit.core.ContractError
import slm.toolkit.core.Door
import slm.toolkit.core.Engine
import slm.toolkit.core.LEFT_FOREGROUND
import slm.toolkit.core.Platform
import slm.toolkit.core.ProcessEnd
import slm.toolkit.core.RunFolder
import slm.toolkit.core.RunProcesses
import slm.toolkit.core.RunSession
import slm.toolkit.core.RunSlot
import slm.toolkit.core.Sampler

/** Android's `content` and the process `:runner` on a virtual phone; [data] is the app's own folder there. */
class EmulatedPhone(private val data: File, private val version: String) {
    private val runs = File(data, "runs")
    private val door = Door(runs, EmulatedProcesses(data), ::engines)

    /** The process of one run, of a visible activity or of a service. */
    fun run(id: String, state: AppState) {
        val slot = RunSlot(runs)
        val session = started(slot, id, state) ?: return
        session.ended = { unwritten -> unwritten?.let { exitProcess(it.code) } }
        // As in the app: a thread of its own.
        val running = Thread(session::run).apply { start() }
        while (running.isAlive) {
            running.join(LOOK_MS)
            if (state == AppState.ACTIVITY && File(data, "home").exists()) session.cancel(LEFT_FOREGROUND)
            // What else is to start in this process, by its id.
            for (asked in File(data, "starts").listFiles().orEmpty()) {
                started(slot, asked.name, state)
                asked.delete()
            }
        }
    }

    private fun started(slot: RunSlot, id: String, state: AppState): RunSession? = try {
        slot.begin(id) { RunSession(it, Sampler(it, EmulatedPlatform(state))) }
    } catch (refused: ContractError) {
        System.err.println("not started: ${refused.message}")
        null
    }

    /** `content VERB --uri URI ...`; as Android's, it ends with 0 and an error on stderr. */
    fun content(words: List<String>) {
        val flags = words.drop(1).chunked(2).filter { it.size == 2 }.associate { (name, value) -> name to value }
        val path = flags["--uri"].orEmpty().substringAfter("//").split('/').drop(1).filter { it.isNotEmpty() }
        try {
            answer(words.first(), path, flags)
        } catch (refused: ContractError) {
            System.err.println("[ERROR] ${refused.message}")
        } catch (unreadable: java.io.IOException) {
            System.err.println("[ERROR] ${unreadable.message}")
        }
        System.out.flush()
    }

    private fun answer(verb: String, path: List<String>, flags: Map<String, String>) {
        when (verb) {
            "read" -> read(path)
            "write" -> door.file(path, write = true).outputStream().use { System.`in`.copyTo(it) }
            "delete" -> door.delete(path)
            "query" -> door.rows(path).let { found ->
                if (found.rows.isEmpty()) println("No result found.")
                found.rows.forEachIndexed { number, row ->
                    println("Row: $number ${found.names.zip(row).joinToString { (name, value) -> "$name=${value ?: "NULL"}" }}")
                }
            }
            "call" -> println("Result: Bundle[{${called(flags["--method"], flags["--arg"])}}]")
            else -> throw ContractError("no verb $verb")
        }
    }

    // Libraries lie in a folder here, not in a package.
    private fun engines(): Set<Engine> = System.getProperty("java.library.path").split(':').map(::File).let { folders ->
        Engine.entries.filterTo(mutableSetOf()) { engine -> folders.any { File(it, "lib${engine.library}.so").isFile } }
    }

    private fun read(path: List<String>) {
        val file = door.file(path, write = false)
        if (file.name == RunFolder.OUT) door.follow(path, System.out) else file.inputStream().use { it.copyTo(System.out) }
    }

    private fun called(method: String?, argument: String?): String = when (method) {
        "info" -> "contract=$CONTRACT, version=$version"
        "state" -> "state=${door.state(argument)}"
        "cancel" -> "".also { door.cancel(argument) }
        "adopt" -> "artifact=${door.adopt(argument)}"
        // A phone may keep adb's files from apps.
        "probe" -> "readable=${argument != null && File(argument).canRead() && !File(data, "keeps_adb_files").exists()}"
        else -> throw ContractError("no method $method")
    }

    private companion object {
        const val LOOK_MS = 50L
    }
}

/** Processes and their exit statuses, as the phone's `am` writes them. */
class EmulatedProcesses(private val data: File) : RunProcesses {
    override fun lives(pid: Int): Boolean = !end(pid).isFile && File("/proc/$pid").isDirectory

    override fun endOf(pid: Int): ProcessEnd? {
        val status = end(pid).takeIf { it.isFile }?.readText()?.trim()?.toIntOrNull() ?: return null
        return if (status > SIGNALLED) ProcessEnd(SIGNALED, status - SIGNALLED) else ProcessEnd(EXIT_SELF, status)
    }

    private fun end(pid: Int) = File(data, "ends/$pid")

    private companion object {
        const val SIGNALLED = 128
        // Of android.app.ApplicationExitInfo.
        const val EXIT_SELF = 1
        const val SIGNALED = 2
    }
}

/** A virtual phone has no Android to ask. */
private class EmulatedPlatform(private val state: AppState) : Platform {
    override fun readings(): Map<String, Any?> = mapOf("app_state" to state.word, "emulated" to true, "battery_percent" to Int.MIN_VALUE)
}

/** `run DATA VERSION ID STATE` and `content DATA VERSION VERB ...`. */
fun emulated(words: List<String>): Nothing {
    val phone = EmulatedPhone(File(words[1]), words[2])
    if (words[0] == "run") phone.run(words[3], AppState.entries.single { it.word == words[4] }) else phone.content(words.drop(3))
    exitProcess(0)
}
