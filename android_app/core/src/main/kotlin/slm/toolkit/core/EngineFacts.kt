package slm.toolkit.core

/** What an engine's library in this app is, and what it can hand work to. */
class EngineFacts(val version: String, val providers: List<String>)

/**
 * A provider that libraries of an engine may have, and the app's own has not.
 *
 * @param processor cpu, gpu or npu.
 * @param library what brings it.
 */
enum class OtherProvider(val engine: Engine, val processor: String, val word: String, val library: String) {
    QNN_OF_ONNXRUNTIME(Engine.ONNXRUNTIME, "npu", "QNNExecutionProvider", "onnxruntime-android-qnn"),
    VULKAN_OF_EXECUTORCH(Engine.EXECUTORCH, "gpu", "VulkanBackend", "ExecuTorch built with EXECUTORCH_BUILD_VULKAN=ON"),
    QNN_OF_EXECUTORCH(Engine.EXECUTORCH, "npu", "QnnBackend", "ExecuTorch built with EXECUTORCH_BUILD_QNN=ON"),
}

/**
 * Loads an engine's library into this process and asks it.
 *
 * @throws RunnerEnded it is missing, or is something else.
 */
fun factsOf(engine: Engine): EngineFacts {
    val said = StringBuilder()
    val errors = StringBuilder()
    val output = object : RunOutput {
        override fun out(line: ByteArray) {
            said.append(line.decodeToString())
        }

        override fun error(line: ByteArray) {
            errors.append(line.decodeToString())
        }
    }
    val code = try {
        NativeRunner(engine.library).use { it.run((listOf("info") + engine.flags).map { word -> word.toByteArray() }, output) }
    } catch (missing: LinkageError) {
        throw RunnerEnded(NO_LIBRARY, "${missing.message}")
    }
    if (code != 0) throw RunnerEnded(code, "$errors".trim())
    val info = parseJson("$said") as Map<*, *>
    return EngineFacts("${info["engine_version"]}", (info["providers"] as List<*>).map { "$it" })
}

// As in docs/runner.md.
private const val NO_LIBRARY = 3
