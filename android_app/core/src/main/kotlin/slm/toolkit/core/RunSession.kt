package slm.toolkit.core

import java.io.FileOutputStream
import java.io.IOException
import java.io.OutputStream
import kotlin.concurrent.thread

/**
 * One run in this process, from the file `arguments` to the file `exit`.
 *
 * @param gate what a run by hand waits for; the host keeps the gate of its own runs.
 */
class RunSession(private val folder: RunFolder, private val sampler: Sampler, private val gate: HandGate? = null) : RunOutput {
    /** Which run it is. */
    val id: String get() = folder.id

    /** Is told every line, to show it. */
    @Volatile
    var show: (ByteArray) -> Unit = {}

    /** Is told what a run by hand waits for before it begins; nothing, once it begins. */
    @Volatile
    var waits: (List<NotReady>) -> Unit = {}

    /** Is told how it ended where that cannot be written into the folder, else null: then the process has to say it. */
    @Volatile
    var ended: (Ending?) -> Unit = {}

    private lateinit var out: OutputStream
    private lateinit var error: OutputStream
    // Cancels what is at work.
    private var cancelling: (() -> Unit)? = null
    private var cancelled = false
    private var left: Ending? = null
    private var notReady: NotReady? = null
    @Volatile
    private var over = false

    /** Carries it out on this thread, which is the run's own; see [NativeRunner.run]. Never throws. */
    fun run() {
        thread(isDaemon = true, name = "cancel") { watch() }
        val code = try {
            FileOutputStream(folder.file(RunFolder.OUT), true).use { out ->
                this.out = out
                FileOutputStream(folder.file(RunFolder.ERROR), true).use { error ->
                    this.error = error
                    sampledCode()
                }
            }
        } catch (_: IOException) {
            // Even the line that says why finds no room.
            NO_OUTPUT
        }
        // A run that came to its end is whole, and one that failed by itself says why.
        val left = synchronized(this) { left.takeIf { code == CANCELLED } }
        val ending = left ?: Ending(code, wordOf(code))
        over = true
        ended(ending.takeUnless(folder::end))
    }

    private fun wordOf(code: Int): String = when (code) {
        0 -> "ok"
        NOT_READY -> notReady?.word ?: "runner"
        else -> "runner"
    }

    private fun sampledCode(): Int = try {
        sampler.sample("before")
        gateCode() ?: saidCode().also { sampler.sample("after") }
    } catch (failed: IOException) {
        say("the app's folder cannot be used: ${failed.message}")
        NO_OUTPUT
    }

    /** Null once the phone is ready. */
    private fun gateCode(): Int? {
        val gate = gate ?: return null
        val unmet = gate.await({ synchronized(this) { cancelled } }) { waits(it) }
        waits(emptyList())
        sampler.sample("gate", mapOf("waited_ms" to gate.waitedMs, "first" to gate.first.map { it.word }, "unmet" to unmet.map { it.word }))
        if (synchronized(this) { cancelled }) return CANCELLED
        notReady = unmet.firstOrNull() ?: return null
        say("the phone is not ready: ${unmet.joinToString { it.word }}")
        return NOT_READY
    }

    /** The host asks by a file, from another process. */
    private fun watch() {
        while (!over) {
            if (folder.file(RunFolder.CANCEL).exists()) return cancel()
            Thread.sleep(WATCH_MS)
        }
    }

    private fun saidCode(): Int = try {
        runArguments()
    } catch (refused: ContractError) {
        say(refused.message)
        USAGE
    } catch (refused: ChatError) {
        say(refused.message)
        USAGE
    } catch (ended: RunnerEnded) {
        error("${ended.message}\n".toByteArray())
        ended.code
    } catch (missing: LinkageError) {
        say("the engine's library cannot be loaded: ${missing.message}")
        NO_LIBRARY
    }

    private fun runArguments(): Int {
        val bytes = folder.file(RunFolder.ARGUMENTS).readBytes()
        val arguments = Arguments.parse(bytes, folder.path)
        if (arguments.mode == "chat") {
            val chat = ChatRun(arguments.texts.drop(1).map { it.decodeToString() }, ::out)
            cancelledBy(chat::cancel, chat::run)
            return 0
        }
        val words = arguments.texts + arguments.engine.flags.map { it.toByteArray() }
        return NativeRunner(arguments.engine.library).use { runner ->
            cancelledBy(runner::cancel) { runner.run(words, this) }
        }
    }

    private fun <T> cancelledBy(cancelling: () -> Unit, work: () -> T): T {
        synchronized(this) {
            this.cancelling = cancelling
            if (cancelled) cancelling()
        }
        try {
            return work()
        } finally {
            synchronized(this) { this.cancelling = null }
        }
    }

    /** Ends it between two steps, from any thread; [ending] says why, if it is not over by then. */
    @Synchronized
    fun cancel(ending: Ending? = null) {
        cancelled = true
        left = left ?: ending
        cancelling?.invoke()
    }

    override fun out(line: ByteArray) {
        out.write(line)
        sampler.seen(line)
        show(line)
    }

    override fun error(line: ByteArray) = error.write(line)

    private fun say(message: String?) = error("slm-app: error: $message\n".toByteArray())

    private companion object {
        // Those of docs/runner.md.
        const val USAGE = 2
        const val NO_LIBRARY = 3
        const val NO_OUTPUT = 8
        const val CANCELLED = 143
        const val NOT_READY = 14
        // Seldom enough to disturb no measurement.
        const val WATCH_MS = 250L
    }
}
