package slm.toolkit.core

import java.io.File
import java.io.IOException

/**
 * Artifacts that the host copies into the app's own storage, on phones where apps cannot read what adb has pushed.
 *
 * @param artifacts the folder of the app's own artifacts, with those that were imported by hand.
 */
class Copies(private val artifacts: File) {
    /**
     * Where a file goes that the host streams in: beside its place until [adopt] has found all of them whole.
     *
     * @param path the artifact's id, as the host names it, and the file's name.
     * @throws ContractError anything else.
     */
    fun fileFor(path: List<String>): File {
        val name = path.getOrNull(1)
        if (path.size != 2 || !ARTIFACT_FILE.matches(name!!)) {
            throw ContractError("'${path.joinToString("/")}' is no file of an artifact")
        }
        return File(partial(path[0]), name)
    }

    /**
     * Gives an artifact its place once every file of its manifest has come with its hash.
     *
     * @return "whole", "absent" of an artifact of which nothing has come, or what is wrong with what came; then nothing of it
     *   is kept.
     * @throws ContractError [id] is no id of an artifact.
     */
    fun adopt(id: String?): String {
        val partial = partial(id)
        if (!partial.isDirectory) return if (File(place(id), MANIFEST).isFile) WHOLE else "absent"
        return try {
            val adopted = adoptArtifact(partial, artifacts)
            if (adopted.folder == place(id)) WHOLE else "it is artifact ${adopted.folder.name}, not $id"
        } catch (refused: ImportError) {
            "${refused.message}"
        } catch (failed: IOException) {
            "${failed.message}"
        }
    }

    /** Deletes what there is of an artifact, whole or not. */
    fun delete(path: List<String>): Boolean {
        val id = path.singleOrNull()
        return listOf(partial(id), place(id)).map { it.deleteRecursively() }.all { it }
    }

    private fun partial(id: String?) = File(artifacts, ".${place(id).name}.part")

    private fun place(id: String?): File {
        if (id == null || !ID.matches(id)) throw ContractError("'$id' is no id of an artifact")
        return File(artifacts, id)
    }

    private companion object {
        const val WHOLE = "whole"
        const val MANIFEST = "manifest.json"
        val ID = Regex("[0-9a-f]{16}")
    }
}
