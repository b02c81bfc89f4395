package slm.toolkit.core

import java.io.File
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest

/** The app's own artifacts, imported or copied, beside the folder of all runs. */
fun artifactsBeside(runs: File) = File(runs.parentFile, "artifacts")

/** A folder that a person has picked: files by their names, not below them. */
interface PickedFolder {
    /** @throws IOException there is none of that name, or it cannot be read. */
    fun open(name: String): InputStream
}

/** What was picked is no artifact, or not a whole one; nothing of it was kept. */
class ImportError(message: String) : Exception(message)

/**
 * Copies an artifact into a folder of [artifacts]: every file of its manifest, each compared with its hash there.
 *
 * @param copied is told the name of each file that has come.
 * @throws ImportError for anything that is not a whole artifact.
 * @throws IOException the app's own storage cannot be written.
 */
fun importArtifact(picked: PickedFolder, artifacts: File, copied: (String) -> Unit = {}): PushedArtifact {
    val manifest = manifestOf(picked)
    val partial = File(artifacts, ".partial")
    partial.deleteRecursively()
    partial.mkdirs()
    try {
        for (file in filesOf(manifest)) {
            val name = nameOf(file)
            copy(picked, name, partial)
            check(partial, file)
            copied(name)
        }
        File(partial, MANIFEST).writeText(json(manifest))
        return settle(partial, manifest, artifacts)
    } finally {
        partial.deleteRecursively()
    }
}

/**
 * Makes an artifact of files that the host has written into the folder [partial] one by one: all of them, each compared
 * with its hash in the manifest, or none, and then nothing of them is kept.
 *
 * @throws ImportError it is no whole artifact.
 * @throws IOException the app's own storage cannot be written.
 */
fun adoptArtifact(partial: File, artifacts: File): PushedArtifact = try {
    val manifest = manifestOf(object : PickedFolder {
        override fun open(name: String) = File(partial, name).inputStream()
    })
    for (file in filesOf(manifest)) {
        if (!File(partial, nameOf(file)).isFile) throw ImportError("${nameOf(file)} is missing")
        check(partial, file)
    }
    settle(partial, manifest, artifacts)
} finally {
    partial.deleteRecursively()
}

private fun settle(partial: File, manifest: Map<*, *>, artifacts: File): PushedArtifact {
    val artifact = pushedArtifact(partial) ?: throw ImportError("this app has no engine for it")
    val target = File(artifacts, identity(filesOf(manifest)))
    target.deleteRecursively()
    if (!partial.renameTo(target)) throw IOException("$target cannot be made")
    return PushedArtifact(target, artifact.name, artifact.engine, manifest)
}

private fun filesOf(manifest: Map<*, *>): List<Map<*, *>> {
    val files = (manifest["files"] as? List<*>).orEmpty().map { it as? Map<*, *> ?: throw ImportError("a file without a name") }
    return files.ifEmpty { throw ImportError("its manifest names no files") }
}

private fun manifestOf(picked: PickedFolder): Map<*, *> = try {
    parseJson(picked.open(MANIFEST).use { it.readBytes() }.decodeToString()) as? Map<*, *>
        ?: throw ImportError("$MANIFEST is no object")
} catch (refused: JsonError) {
    throw ImportError("$MANIFEST: ${refused.message}")
} catch (_: IOException) {
    throw ImportError("it has no $MANIFEST: pick the folder that slm convert has made")
}

private fun nameOf(file: Map<*, *>): String {
    val name = file["path"] as? String ?: throw ImportError("a file without a name")
    // Artifacts are flat; a path could lead out of the folder.
    if (!ARTIFACT_FILE.matches(name)) throw ImportError("'$name' is no name of a file")
    return name
}

private fun check(folder: File, file: Map<*, *>) {
    val name = nameOf(file)
    if (sha256(File(folder, name)) != file["sha256"]) throw ImportError("$name is not what the manifest says")
}

private fun copy(picked: PickedFolder, name: String, target: File) {
    val source = try {
        picked.open(name)
    } catch (_: IOException) {
        throw ImportError("$name is missing")
    }
    source.use { input -> File(target, name).outputStream().use { input.copyTo(it) } }
}

/** As the host names artifacts on a phone: a hash over all files' paths and hashes. */
private fun identity(files: List<Map<*, *>>): String {
    val lines = files.map { "${it["sha256"]}  ${it["path"]}\n" }.sorted().joinToString("")
    val digest = MessageDigest.getInstance("SHA-256").digest(lines.toByteArray())
    return digest.joinToString("") { "%02x".format(it) }.take(NAME_LENGTH)
}

private const val MANIFEST = "manifest.json"
private const val NAME_LENGTH = 16

/** Names of an artifact's files. */
val ARTIFACT_FILE = Regex("[A-Za-z0-9_][A-Za-z0-9._-]*")
