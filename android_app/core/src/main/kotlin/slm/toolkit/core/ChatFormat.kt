package slm.toolkit.core

import java.time.LocalDate

/** Why there is no conversation with a model, or no further answer. */
class ChatError(message: String) : Exception(message)

/** What a chat template writes around messages; toolkit/chat_format.py says what its texts mean. */
class ChatFormat private constructor(private val texts: Map<*, *>) {
    val takesSystem: Boolean get() = texts["system_prefix"] != null

    /**
     * A conversation that waits for an answer.
     *
     * @param said texts of user and model in turn; the first and the last one are the user's.
     */
    fun text(said: List<String>, system: String?, today: LocalDate = LocalDate.now()): String = buildString {
        if (system == null) {
            append(dated("opening", today))
        } else {
            append(dated("system_prefix", today)).append(system).append(dated("system_suffix", today))
        }
        for ((number, text) in said.withIndex()) {
            val byUser = number % 2 == 0
            append(if (byUser) text else answer(text))
            val then = if (byUser) "after_user" else "after_answer"
            append(dated(if (number == said.lastIndex) "before_new_answer" else then, today))
        }
    }

    private fun answer(text: String): String {
        val end = texts["thought_end"] as? String
        val rest = if (end != null && end in text) without(text.substringAfterLast(end), "thought_drops") else text
        return without(rest, "answer_drops")
    }

    private fun without(text: String, name: String): String = when (texts[name]) {
        "leading newlines" -> text.trimStart('\n')
        // As Python's strip().
        "white space" -> text.trim { it.isWhitespace() || it == '\u0085' }
        else -> text
    }

    private fun dated(name: String, today: LocalDate): String =
        DATE.replace(texts[name] as String) { found -> written(found.groupValues[1], today) }

    companion object {
        private val DATE = Regex("\ue000(.*?)\ue001", RegexOption.DOT_MATCHES_ALL)
        private val FIELD = Regex("%.")
        private val MONTHS = "January February March April May June July August September October November December".split(' ')
        private val DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(' ')
        private val NEEDED = listOf("opening", "after_user", "after_answer", "before_new_answer")
        private const val SHORT = 3

        /** @throws ChatError a manifest that has none. */
        fun of(manifest: Map<*, *>): ChatFormat {
            val chat = manifest["chat"] as? Map<*, *>
            if (chat == null && manifest["chat_template_file"] == null) throw ChatError("this model has no chat template")
            if (chat == null) throw ChatError("this artifact was made before chats were: convert the model again")
            if (chat["form"] == "unsplit") throw ChatError("its chat template cannot be followed here: ${chat["reason"]}")
            val pair = listOf("system_prefix", "system_suffix").map { chat[it] is String }
            if (chat["form"] != "split" || NEEDED.any { chat[it] !is String } || pair[0] != pair[1]) {
                throw ChatError("its chat template is written in a form that this app does not know: install it again")
            }
            return ChatFormat(chat)
        }

        /** As strftime does it in English. */
        private fun written(format: String, day: LocalDate): String = FIELD.replace(format) { found ->
            when (found.value[1]) {
                'Y' -> "%04d".format(day.year)
                'y' -> "%02d".format(day.year % 100)
                'm' -> "%02d".format(day.monthValue)
                'd' -> "%02d".format(day.dayOfMonth)
                'B' -> MONTHS[day.monthValue - 1]
                'b' -> MONTHS[day.monthValue - 1].take(SHORT)
                'A' -> DAYS[day.dayOfWeek.value - 1]
                'a' -> DAYS[day.dayOfWeek.value - 1].take(SHORT)
                else -> found.value
            }
        }
    }
}
