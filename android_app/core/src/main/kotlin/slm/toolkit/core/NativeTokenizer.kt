package slm.toolkit.core

import java.io.File

/**
 * A tokenizer.json: text to ids, and the text of ids as they come.
 *
 * @param library as of [NativeRunner].
 * @throws ChatError a tokenizer that the runner does not know, with what it is about.
 */
class NativeTokenizer(library: String, file: File) : AutoCloseable {
    private val handle: Long

    init {
        System.loadLibrary(library)
        handle = open(file.path.toByteArray())
        check { close() }
    }

    /** Ids of a text in which special tokens are written out, as chat templates do. */
    fun encode(text: String): LongArray = encode(handle, text.toByteArray(), false).also { check {} }

    /** The text that a token completes; what is no whole character yet comes with a later one. */
    fun take(token: Long): String = take(handle, token).decodeToString()

    /** The rest of a text; the next token begins another one. */
    fun finish(): String = finish(handle).decodeToString()

    override fun close() = destroy(handle)

    private fun check(otherwise: () -> Unit) {
        val problem = problem(handle).decodeToString()
        if (problem.isEmpty()) return
        otherwise()
        throw ChatError(problem)
    }

    private external fun open(path: ByteArray): Long

    private external fun destroy(handle: Long)

    private external fun problem(handle: Long): ByteArray

    private external fun encode(handle: Long, text: ByteArray, special: Boolean): LongArray

    private external fun take(handle: Long, token: Long): ByteArray

    private external fun finish(handle: Long): ByteArray
}
