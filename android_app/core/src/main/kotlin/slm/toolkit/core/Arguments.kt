package slm.toolkit.core

import java.io.ByteArrayOutputStream

/** What host and app agree on: files of a run, their form, exit codes. Another number does not fit. */
const val CONTRACT = 2

/** What came from outside and cannot be meant; nothing has run. */
class ContractError(message: String) : Exception(message)

/** An inference engine: the library that holds our side of it, and the library that it is. */
enum class Engine(val word: String, val library: String, val engineLibrary: String?) {
    ONNXRUNTIME("onnxruntime", "slm_ort", "libonnxruntime.so"),
    EXECUTORCH("executorch", "slm_et", null),
}

/** A run's engine and the runner's arguments, as `NativeRunner.run` takes them. */
class Arguments(val engine: Engine, val texts: List<ByteArray>) {
    /** The mode: profile, generate, info or chat. */
    val mode: String get() = texts.first().decodeToString()

    companion object {
        const val MOST_BYTES = 1 shl 20

        // Stands for the run's folder in the app, which the host does not know.
        private val RUN_FOLDER = "@run/".toByteArray()
        private const val ZERO: Byte = 0

        /**
         * Reads the file `arguments`: texts of any bytes but zero, each ended by a zero. The first says the contract
         * ("slm-app/2"), the second the engine, the rest is the runner's command line from its mode on.
         *
         * @param folder the run's folder, which takes the place of "@run/" at the beginning of a text.
         * @throws ContractError for anything else.
         */
        fun parse(bytes: ByteArray, folder: ByteArray): Arguments {
            if (bytes.size > MOST_BYTES) throw ContractError("the arguments are longer than $MOST_BYTES bytes")
            if (bytes.isEmpty() || bytes.last() != ZERO) throw ContractError("the arguments are cut short")
            val texts = split(bytes)
            val contract = texts.first().decodeToString()
            if (contract != "slm-app/$CONTRACT") {
                throw ContractError("the host speaks '$contract', this app slm-app/$CONTRACT")
            }
            val name = texts.getOrNull(1)?.decodeToString()
            val engine = Engine.entries.find { it.word == name } ?: throw ContractError("there is no engine '$name'")
            val rest = texts.drop(2).map { if (it.startsWith(RUN_FOLDER)) folder + it.drop(RUN_FOLDER.size - 1) else it }
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

        private fun ByteArray.startsWith(start: ByteArray) =
            size >= start.size && start.indices.all { this[it] == start[it] }

        private fun ByteArray.drop(count: Int) = copyOfRange(count, size)
    }
}
