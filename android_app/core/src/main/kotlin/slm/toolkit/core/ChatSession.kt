package slm.toolkit.core

import java.io.File
import java.io.IOException
import java.util.concurrent.LinkedBlockingQueue
import kotlin.concurrent.thread

/** What a model has said to one message. */
class Answer(
    val text: String,
    val promptTokens: Int,
    /** Tokens at the prompt's beginning that were not computed again. */
    val keptTokens: Long,
    val tokens: Int,
    /** stop_token, maximum, context or stopped. */
    val ending: String,
)

/** The runner has ended, with its exit code. */
class RunnerEnded(val code: Int, message: String) : Exception(message)

/**
 * A conversation with a model that stays loaded in this process: template, tokens and engine are the app's.
 *
 * @param runId goes into the runner's records.
 * @param threads of the engine; 0 leaves them to it.
 * @throws ChatError the model has no chat template that can be followed here, or a tokenizer that is not known.
 */
class ChatSession(
    artifact: PushedArtifact,
    runId: String,
    system: String? = null,
    threads: Int = 0,
) : AutoCloseable {
    private val format = ChatFormat.of(artifact.manifest)
    private val tokenizer: NativeTokenizer
    private val stops = stopTokens(artifact.folder).joinToString(",").ifEmpty { "-" }
    private val runner: NativeRunner
    private val running: Thread

    // Records of the runner, and its end.
    private val said = LinkedBlockingQueue<Result<Map<*, *>>>()
    private val turns = mutableListOf<String>()
    private var turn = 0

    /** The message in front of all others; null for none. A [ChatError] where the template takes none. */
    var system: String? = null
        set(text) {
            if (text != null && !format.takesSystem) throw ChatError("its chat template takes no system message")
            field = text
        }

    init {
        this.system = system
        tokenizer = NativeTokenizer(artifact.engine.library, File(artifact.folder, "tokenizer.json"))
        runner = NativeRunner(artifact.engine.library)
        val count = if (threads > 0) listOf("--threads", "$threads") else emptyList()
        val words = listOf("serve", "--model", artifact.model.path, "--run-id", runId) + PREFILL + artifact.engine.flags + count
        running = thread(name = "chat") { serve(words) }
    }

    private fun serve(words: List<String>) {
        val errors = StringBuilder()
        val output = object : RunOutput {
            override fun out(line: ByteArray) {
                said.put(Result.success(parseJson(line.decodeToString()) as Map<*, *>))
            }

            override fun error(line: ByteArray) {
                errors.append(line.decodeToString())
            }
        }
        val code = runner.run(words.map { it.toByteArray() }, output)
        said.put(Result.failure(RunnerEnded(code, errors.toString().trim())))
    }

    /**
     * Says something and waits for the answer, which stays in the conversation.
     *
     * @param heard is told the answer piece by piece.
     * @throws ChatError nothing to say, or more than fits; the conversation stays as it was.
     * @throws RunnerEnded the model cannot be loaded, or is no longer.
     */
    fun ask(text: String, maximumTokens: Int, heard: (String) -> Unit = {}): Answer {
        val asked = turns + text.trim().ifEmpty { throw ChatError("there is nothing to say") }
        val ids = tokenizer.encode(format.text(asked, system))
        // Greedy: no top k, all of top p, any seed.
        val words = listOf("turn", ++turn, maximumTokens, stops, 0, 0, 1, 0) + ids.asList()
        runner.tell((words.joinToString(" ") + "\n").toByteArray())
        val answer = StringBuilder()
        var tokens = 0
        fun hear(piece: String) {
            answer.append(piece)
            if (piece.isNotEmpty()) heard(piece)
        }
        while (true) {
            val record = next()
            if (record["turn"] != turn.toLong()) continue
            if (record["record"] == "token") {
                tokens++
                hear(tokenizer.take(record["id"] as Long))
            } else {
                hear(tokenizer.finish())
                if (record["ending"] == "refused") throw ChatError("${record["message"]}")
                turns += listOf(asked.last(), answer.toString())
                return Answer("$answer", ids.size, record["kept"] as Long, tokens, "${record["ending"]}")
            }
        }
    }

    /** What was said, as a JSON list of messages with role and content: that of `slm chat --messages`. */
    fun conversation(): String {
        val said = turns.mapIndexed { number, text -> (if (number % 2 == 0) "user" else "assistant") to text }
        val messages = listOfNotNull(system?.let { "system" to it }) + said
        return json(messages.map { (role, content) -> linkedMapOf("role" to role, "content" to content) })
    }

    /** Asks for the end of the answer under way, from any thread. */
    fun stop() {
        runner.tell("stop $turn\n".toByteArray())
    }

    /** Ends all of it between two steps, from any thread. */
    fun cancel() = runner.cancel()

    /** Lets the runner end; nobody asks or stops any more. */
    override fun close() {
        runner.finish()
        running.join()
        runner.close()
        tokenizer.close()
    }

    private fun next(): Map<*, *> {
        val one = said.take()
        // Whoever asks again is told again.
        if (one.isFailure) said.put(one)
        return one.getOrThrow()
    }

    private companion object {
        // A stop is heard between two chunks of a prompt.
        val PREFILL = listOf("--prefill-chunk", "128")

        /** Ids that end an answer; none where the model names none. */
        fun stopTokens(folder: File): List<Long> {
            val config = try {
                parseJson(File(folder, "generation_config.json").readText()) as? Map<*, *>
            } catch (_: IOException) {
                null
            } catch (damaged: JsonError) {
                throw ChatError("generation_config.json: ${damaged.message}")
            }
            val ids = config?.get("eos_token_id")
            return (ids as? List<*> ?: listOf(ids)).filterIsInstance<Long>()
        }
    }
}
