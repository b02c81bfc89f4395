package slm.toolkit.core

import java.io.File
import java.io.IOException
import java.io.InputStream
import java.security.MessageDigest

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
    val files = (manifest["files"] as? List<*>).orEmpty().map { it as? Map<*, *> ?: throw ImportError("a file without a name") }
    if (files.isEmpty()) throw ImportError("its manifest names no files")
    val partial = File(artifacts, ".partial")
    partial.deleteRecursively()
    partial.mkdirs()
    try {
        for (file in files) copied(copy(picked, file, partial))
        File(partial, MANIFEST).writeText(json(manifest))
        val artifact = pushedArtifact(partial) ?: throw ImportError("this app has no engine for it")
        val target = File(artifacts, identity(files))
        target.deleteRecursively()
        if (!partial.renameTo(target)) throw IOException("$target cannot be made")
        return PushedArtifact(target, artifact.name, artifact.engine, manifest)
    } finally {
        partial.deleteRecursively()
    }
}

private fun manifestOf(picked: PickedFolder): Map<*, *> = try {
    parseJson(picked.open(MANIFEST).use { it.readBytes() }.decodeToString()) as? Map<*, *>
        ?: throw ImportError("$MANIFEST is no object")
} catch (refused: JsonError) {
    throw ImportError("$MANIFEST: ${refused.message}")
} catch (_: IOException) {
    throw ImportError("it has no $MANIFEST: pick the folder that slm convert has made")
}

private fun copy(picked: PickedFolder, file: Map<*, *>, target: File): String {
    val name = file["path"] as? String ?: throw ImportError("a file without a name")
    // Artifacts are flat; a path could lead out of the folder.
    if (!NAME.matches(name)) throw ImportError("'$name' is no name of a file")
    val source = try {
        picked.open(name)
    } catch (_: IOException) {
        throw ImportError("$name is missing")
    }
    source.use { input -> File(target, name).outputStream().use { input.copyTo(it) } }
    if (sha256(File(target, name)) != file["sha256"]) throw ImportError("$name is not what the manifest says")
    return name
}

/** As the host names artifacts on a phone: a hash over all files' paths and hashes. */
private fun identity(files: List<Map<*, *>>): String {
    val lines = files.map { "${it["sha256"]}  ${it["path"]}\n" }.sorted().joinToString("")
    val digest = MessageDigest.getInstance("SHA-256").digest(lines.toByteArray())
    return digest.joinToString("") { "%02x".format(it) }.take(NAME_LENGTH)
}

private const val MANIFEST = "manifest.json"
private const val NAME_LENGTH = 16
private val NAME = Regex("[A-Za-z0-9_][A-Za-z0-9._-]*")
