package slm.toolkit.core

import java.io.File
import java.io.IOException
import java.security.MessageDigest

/**
 * Writes the file that a person sends to whoever keeps results: one line that says what ran, then those of the result and
 * of the app's samples.
 *
 * @param device what Android says of the phone, by the names of toolkit/profiling/session/shared_run.py.
 * @param app likewise of the app.
 * @return the file, or null of a run that was not made here by hand.
 * @throws IOException the run's files cannot be read, or the file not be written.
 */
fun sharedRun(folder: RunFolder, device: Map<String, Any?>, app: Map<String, Any?>): File? {
    val manifest = folder.file(RunFolder.MANIFEST).takeIf { it.isFile } ?: return null
    val head = linkedMapOf(
        "schema" to "slm-app-run/1",
        "run_id" to folder.id,
        "created_unix_ns" to manifest.lastModified() * NS_PER_MS,
        "app" to app,
        "device" to device,
        "manifest" to parseJson(manifest.readText()),
    )
    val shared = folder.file(RunFolder.SHARED)
    shared.writeText(json(head) + "\n" + folder.file(RunFolder.RESULT).readText() + folder.file(RunFolder.APP).readText())
    return shared
}

/** SHA-256 of a file, as 64 hexadecimal digits. */
fun sha256(file: File): String {
    val digest = MessageDigest.getInstance("SHA-256")
    file.inputStream().use { input ->
        val buffer = ByteArray(BUFFER_BYTES)
        while (true) {
            val count = input.read(buffer)
            if (count < 0) break
            digest.update(buffer, 0, count)
        }
    }
    return digest.digest().joinToString("") { "%02x".format(it) }
}

private const val NS_PER_MS = 1_000_000L
private const val BUFFER_BYTES = 1 shl 16
