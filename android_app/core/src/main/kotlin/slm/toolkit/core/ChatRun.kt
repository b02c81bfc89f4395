package slm.toolkit.core

import java.io.File

/**
 * The mode `chat` of a run: messages out of a file, said one after the other in one conversation.
 *
 * @param words `--model FOLDER --run-id ID --conversation FILE --max-tokens N`, and `--threads N`.
 * @param out takes records: a `text` for each piece, an `answer` for each message.
 */
class ChatRun(words: List<String>, private val out: (ByteArray) -> Unit) {
    private val flags = words.chunked(2).associate { it.first() to it.last() }
    private var session: ChatSession? = null
    private var cancelled = false

    /**
     * @throws ContractError a file that is no conversation, or a flag that is missing.
     * @throws ChatError see [ChatSession].
     * @throws RunnerEnded likewise.
     */
    fun run() {
        val folder = File(flag("--model"))
        val artifact = pushedArtifact(folder) ?: throw ChatError("there is no artifact for this app in $folder")
        val conversation = conversation(File(flag("--conversation")))
        val messages = (conversation["messages"] as? List<*>).orEmpty().map { it as? String ?: malformed("a message") }
        val maximum = flag("--max-tokens").toIntOrNull() ?: malformed("--max-tokens")
        val threads = (flags["--threads"] ?: "0").toIntOrNull() ?: malformed("--threads")
        ChatSession(artifact, flag("--run-id"), conversation["system"] as? String, threads).use { session ->
            synchronized(this) {
                this.session = session
                if (cancelled) session.cancel()
            }
            try {
                messages.forEachIndexed { number, message -> say(session, number + 1, message, maximum) }
            } finally {
                synchronized(this) { this.session = null }
            }
        }
    }

    private fun say(session: ChatSession, turn: Int, message: String, maximum: Int) {
        val answer = session.ask(message, maximum) { put("text", turn, "text" to it) }
        put(
            "answer", turn, "text" to answer.text, "prompt_tokens" to answer.promptTokens,
            "kept" to answer.keptTokens, "tokens" to answer.tokens, "ending" to answer.ending,
        )
    }

    @Synchronized
    fun cancel() {
        cancelled = true
        session?.cancel()
    }

    private fun put(kind: String, turn: Int, vararg fields: Pair<String, Any?>) {
        out((json(linkedMapOf("record" to kind, "turn" to turn, *fields)) + "\n").toByteArray())
    }

    private fun conversation(file: File): Map<*, *> = try {
        parseJson(file.readText()) as? Map<*, *> ?: malformed("$file")
    } catch (damaged: JsonError) {
        throw ContractError("$file: ${damaged.message}")
    }

    private fun flag(name: String): String = flags[name] ?: malformed(name)

    private fun malformed(what: String): Nothing = throw ContractError("$what is missing or cannot be meant")
}
