package slm.toolkit.core

import java.io.File
import java.io.IOException
import java.security.SecureRandom
import java.util.zip.ZipFile

/** A model on the phone, where `slm push` puts it or in the app's own folder. */
class PushedArtifact(val folder: File, val name: String, val engine: Engine, val manifest: Map<*, *>) {
    val model: File get() = File(folder, manifest["model_file"] as String)
}

/** Engines whose library of ours ([Engine.library]) is in one of the app's [packages], for whatever processor. */
fun enginesIn(packages: List<File>): Set<Engine> {
    val names = packages.flatMap { file -> ZipFile(file).use { zip -> zip.entries().asSequence().map { it.name }.toList() } }
    return Engine.entries.filterTo(mutableSetOf()) { engine ->
        names.any { it.startsWith("lib/") && it.endsWith("/lib${engine.library}.so") }
    }
}

/** How much a run by hand measures. */
enum class Preset(val promptTokens: Int, val generateTokens: Int, val repetitions: Int) {
    SHORT(128, 32, 3),
    STANDARD(512, 128, 5),
}

/** Artifacts under the folder of `slm push`; null when it cannot be read, which is not the same as empty. */
fun pushedArtifacts(artifacts: File): List<PushedArtifact>? =
    artifacts.listFiles()?.filterNot { it.name.startsWith('.') }?.sorted()?.mapNotNull(::pushedArtifact)

/** The artifact in a folder; null where there is none that this app has an engine for. */
fun pushedArtifact(folder: File): PushedArtifact? {
    val manifest = try {
        parseJson(File(folder, "manifest.json").readText()) as? Map<*, *>
    } catch (_: JsonError) {
        null
    } catch (_: IOException) {
        null
    }
    val word = (manifest?.get("backend") as? Map<*, *>)?.get("name")
    val engine = Engine.entries.find { it.word == word } ?: return null
    if (manifest?.get("model_file") !is String) return null
    return PushedArtifact(folder, manifest["name"] as? String ?: folder.name, engine, manifest)
}

/**
 * Makes the folder of a run that was asked for by hand, with its arguments.
 *
 * @throws IOException it cannot be written; then nothing of it is left.
 */
fun prepareRun(runs: File, artifact: PushedArtifact, preset: Preset): RunFolder {
    val folder = RunFolder.of(runs, newId())
    try {
        folder.path.mkdirs()
        writeRun(folder, artifact, preset)
    } catch (failed: IOException) {
        folder.path.deleteRecursively()
        throw failed
    }
    return folder
}

/** Takes back a run that was prepared and that nobody has begun or will begin. */
fun withdrawRun(runs: File, id: String?) {
    val folder = try {
        RunFolder.of(runs, id)
    } catch (_: ContractError) {
        return
    }
    if (!folder.file(RunFolder.BEGUN).exists() && folder.ending == null) folder.path.deleteRecursively()
}

private fun writeRun(folder: RunFolder, artifact: PushedArtifact, preset: Preset) {
    folder.file(RunFolder.MANIFEST).writeText(json(artifact.manifest))
    val words = listOf(
        "slm-app/$CONTRACT", artifact.engine.word, "profile", "--model", artifact.model.path, "--run-id", folder.id,
        "--output", "@run/${RunFolder.RESULT}", "--prompt-tokens", "${preset.promptTokens}",
        "--generate-tokens", "${preset.generateTokens}", "--repetitions", "${preset.repetitions}",
    ) + referenceFlags(folder, artifact)
    folder.file(RunFolder.ARGUMENTS).writeText(words.joinToString("") { "$it\u0000" })
}

/** The converting host's greedy tokens, with which the phone's are compared wherever the result is read. */
private fun referenceFlags(folder: RunFolder, artifact: PushedArtifact): List<String> {
    val reference = artifact.manifest["greedy_reference"] as? Map<*, *> ?: return emptyList()
    val files = listOf("prompt_ids" to RunFolder.PROMPT, "token_ids" to RunFolder.CONTINUATION)
    for ((name, file) in files) {
        folder.file(file).writeText((reference[name] as? List<*>).orEmpty().joinToString(" "))
    }
    return listOf(
        "--reference-prompt", "@run/${RunFolder.PROMPT}", "--reference-continuation", "@run/${RunFolder.CONTINUATION}",
    )
}

/** A random id, of a run for instance. */
fun newId(): String {
    val letters = ('0'..'9') + ('a'..'z')
    val random = SecureRandom()
    return (1..ID_LENGTH).map { letters[random.nextInt(letters.size)] }.joinToString("")
}

private const val ID_LENGTH = 16
