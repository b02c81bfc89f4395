package slm.toolkit.core

import java.io.ByteArrayOutputStream
import java.io.File

/** What host and app agree on: files of a run, their form, exit codes. Another number does not fit. */
const val CONTRACT = 3

/** What came from outside and cannot be meant; nothing has run. */
class ContractError(message: String) : Exception(message)

/** An inference engine: the library that holds our side of it, and the library that it is. */
enum class Engine(val word: String, val library: String, val engineLibrary: String?) {
    ONNXRUNTIME("onnxruntime", "slm_ort", "libonnxruntime.so"),
    EXECUTORCH("executorch", "slm_et", null),
    ;

    /** What tells the runner where its engine is. */
    val flags: List<String> get() = engineLibrary?.let { listOf("--engine-library", it) }.orEmpty()
}

/** A run's engine and the runner's arguments, as `NativeRunner.run` takes them. */
class Arguments(val engine: Engine, val texts: List<ByteArray>) {
    /** The mode: profile, generate, info or chat. */
    val mode: String get() = texts.first().decodeToString()

    companion object {
        const val MAXIMUM_BYTES = 1 shl 20

        private const val ZERO: Byte = 0

        /**
         * Reads the file `arguments`: texts of any bytes but zero, each ended by a zero. The first says the contract
         * ("slm-app/3"), the second the engine, the rest is the runner's command line from its mode on.
         *
         * @param folder the run's, which takes the place of "@run/" at the beginning of a text, as the app's own
         *   artifacts take that of "@artifacts/": the host knows neither.
         * @throws ContractError for anything else.
         */
        fun parse(bytes: ByteArray, folder: File): Arguments {
            if (bytes.size > MAXIMUM_BYTES) throw ContractError("the arguments are longer than $MAXIMUM_BYTES bytes")
            if (bytes.isEmpty() || bytes.last() != ZERO) throw ContractError("the arguments are cut short")
            val texts = split(bytes)
            val contract = texts.first().decodeToString()
            if (contract != "slm-app/$CONTRACT") {
                throw ContractError("the host speaks '$contract', this app slm-app/$CONTRACT")
            }
            val name = texts.getOrNull(1)?.decodeToString()
            val engine = Engine.entries.find { it.word == name } ?: throw ContractError("there is no engine '$name'")
            val places = mapOf("@run" to folder, "@artifacts" to artifactsBeside(folder.absoluteFile.parentFile))
            val rest = texts.drop(2).map { text -> places.entries.fold(text) { it, (word, place) -> it.placed(word, place) } }
            val mode = rest.firstOrNull()?.decodeToString()
            if (mode !in listOf("profile", "generate", "info", "chat")) throw ContractError("there is no mode '$mode'")
            return Arguments(engine, rest)
        }

        private fun split(bytes: ByteArray): List<ByteArray> {
            val texts = mutableListOf<ByteArray>()
            val text = ByteArrayOutputStream()
            for (byte in bytes) {
                if (byte == ZERO) {
                    texts += text.toByteArray()
                    text.reset()
                } else {
                    text.write(byte.toInt())
                }
            }
            return texts
        }

        private fun ByteArray.placed(word: String, place: File): ByteArray {
            val start = "$word/".toByteArray()
            if (size < start.size || !start.indices.all { this[it] == start[it] }) return this
            return place.path.toByteArray() + copyOfRange(start.size - 1, size)
        }
    }
}
