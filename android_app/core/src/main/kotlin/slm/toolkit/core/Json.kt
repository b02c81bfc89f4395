package slm.toolkit.core

/** Text that is no JSON. */
class JsonError(message: String) : Exception(message)

/** Numbers without a fraction are Long, others Double; objects are Map, arrays List. */
fun parseJson(text: String): Any? = JsonReader(text).whole()

/** One line of JSON. Not a number and infinity are null: there is no such figure. */
fun json(value: Any?): String = when (value) {
    null -> "null"
    is Map<*, *> -> value.entries.joinToString(",", "{", "}") { (name, one) -> "${quoted("$name")}:${json(one)}" }
    is Iterable<*> -> value.joinToString(",", "[", "]", transform = ::json)
    is Double -> if (value.isFinite()) "$value" else "null"
    is Float -> json(value.toDouble())
    is Number, is Boolean -> "$value"
    else -> quoted("$value")
}

private fun quoted(text: String): String = buildString {
    append('"')
    for (character in text) {
        when {
            character == '"' || character == '\\' -> append('\\').append(character)
            character < ' ' -> append("\\u%04x".format(character.code))
            else -> append(character)
        }
    }
    append('"')
}

private class JsonReader(private val text: String) {
    private var at = 0

    fun whole(): Any? {
        val value = value(0)
        skipSpace()
        if (at != text.length) fail("something follows")
        return value
    }

    private fun value(depth: Int): Any? {
        if (depth > MAXIMUM_DEPTH) fail("nested too deep")
        skipSpace()
        return when (peek()) {
            '{' -> objectOf(depth)
            '[' -> arrayOf(depth)
            '"' -> string()
            't' -> word("true", true)
            'f' -> word("false", false)
            'n' -> word("null", null)
            else -> number()
        }
    }

    private fun objectOf(depth: Int): Map<String, Any?> {
        val members = linkedMapOf<String, Any?>()
        elements('}') {
            skipSpace()
            val name = string()
            skipSpace()
            take(':')
            members[name] = value(depth + 1)
        }
        return members
    }

    private fun arrayOf(depth: Int): List<Any?> {
        val values = mutableListOf<Any?>()
        elements(']') { values += value(depth + 1) }
        return values
    }

    private fun elements(end: Char, read: () -> Unit) {
        at++
        skipSpace()
        if (peek() == end) {
            at++
            return
        }
        while (true) {
            read()
            skipSpace()
            if (peek() == end) break
            take(',')
        }
        at++
    }

    private fun string(): String = buildString {
        take('"')
        while (peek() != '"') {
            val character = text[at++]
            if (character < ' ') fail("a control character")
            append(if (character == '\\') escaped() else character)
        }
        at++
    }

    private fun escaped(): Char {
        val character = peek()
        at++
        if (character != 'u') {
            val index = "\"\\/bfnrt".indexOf(character)
            return if (index < 0) fail("an escape that there is not") else "\"\\/\b\u000c\n\r\t"[index]
        }
        val code = text.substring(at, minOf(at + HEX_DIGITS, text.length))
        at += HEX_DIGITS
        val hex = code.length == HEX_DIGITS && code.all { it in '0'..'9' || it.lowercaseChar() in 'a'..'f' }
        return if (hex) code.toInt(16).toChar() else fail("an escape that there is not")
    }

    private fun number(): Number {
        val found = NUMBER.matchAt(text, at)?.value ?: fail("no value")
        at += found.length
        return found.toLongOrNull() ?: found.toDouble().also { if (!it.isFinite()) fail("a number too large") }
    }

    private fun word(word: String, value: Any?): Any? {
        if (!text.startsWith(word, at)) fail("no value")
        at += word.length
        return value
    }

    private fun skipSpace() {
        while (at < text.length && text[at] in " \t\r\n") at++
    }

    private fun peek(): Char = if (at < text.length) text[at] else fail("cut short")

    private fun take(expected: Char) {
        if (peek() != expected) fail("'$expected' is missing")
        at++
    }

    private fun fail(what: String): Nothing = throw JsonError("character $at: $what")

    private companion object {
        const val MAXIMUM_DEPTH = 64
        const val HEX_DIGITS = 4
        val NUMBER = Regex("-?(0|[1-9][0-9]*)(\\.[0-9]+)?([eE][+-]?[0-9]+)?")
    }
}
