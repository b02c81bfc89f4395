package slm.toolkit.app

import android.content.ContentProvider
import android.content.ContentValues
import android.database.Cursor
import android.database.MatrixCursor
import android.net.Uri
import android.os.Bundle
import android.os.ParcelFileDescriptor
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import kotlin.concurrent.thread
import slm.toolkit.core.CONTRACT
import slm.toolkit.core.ContractError
import slm.toolkit.core.Door
import slm.toolkit.core.RunFolder

/**
 * The host's door: `content write|read|query|delete|call` of adb's shell, which holds DUMP; nobody else does.
 *
 * content://slm.toolkit.app.runs/RUN_ID/FILE, where the files are those of docs/android_app.md.
 */
class RunsProvider : ContentProvider() {
    private val door: Door by lazy { doorOf(context!!) }

    override fun onCreate() = true

    override fun openFile(uri: Uri, mode: String): ParcelFileDescriptor {
        val write = 'w' in mode
        val path: List<String> = uri.pathSegments
        val file = checked { door.file(path, write) }
        // `content write` does not say that what was there before must go.
        if (write) return ParcelFileDescriptor.open(file, ParcelFileDescriptor.parseMode("wt"))
        if (file.name != RunFolder.OUT) return ParcelFileDescriptor.open(file, ParcelFileDescriptor.MODE_READ_ONLY)
        val (read, feed) = ParcelFileDescriptor.createPipe()
        thread(name = "follow") { follow(path, feed) }
        return read
    }

    private fun follow(path: List<String>, feed: ParcelFileDescriptor) {
        try {
            ParcelFileDescriptor.AutoCloseOutputStream(feed).use { door.follow(path, it) }
        } catch (_: IOException) {
            // Nobody reads any more; the run goes on.
        }
    }

    /** A row per run, or per engine; of a file its name and size, which whoever it is shared with asks for. */
    override fun query(
        uri: Uri, columns: Array<String>?, selection: String?, arguments: Array<String>?, order: String?,
    ): Cursor {
        val path: List<String> = uri.pathSegments
        val found = checked { door.rows(path) }
        val asked = columns.orEmpty().map(found.names::indexOf).filter { it >= 0 }.ifEmpty { found.names.indices.toList() }
        val rows = MatrixCursor(asked.map(found.names::get).toTypedArray())
        for (row in found.rows) rows.addRow(asked.map(row::get).toTypedArray())
        return rows
    }

    override fun delete(uri: Uri, selection: String?, arguments: Array<String>?): Int {
        val path: List<String> = uri.pathSegments
        return if (checked { door.delete(path) }) 1 else 0
    }

    /**
     * `info`; `state` of a run; `cancel`, of a run; `adopt`, of an artifact that the host has copied; `probe`: whether the app can read a path.
     *
     * Android itself asks whoever calls for no permission, if he was granted one file that is shared.
     */
    override fun call(method: String, argument: String?, extras: Bundle?): Bundle = Bundle().apply {
        context!!.enforceCallingPermission(GUARD, null)
        when (method) {
            "info" -> {
                val app = context!!.packageManager.getPackageInfo(context!!.packageName, 0)
                putInt("contract", CONTRACT)
                putString("version", app.versionName)
            }
            "state" -> putString("state", checked { door.state(argument) })
            "cancel" -> checked { door.cancel(argument) }
            "adopt" -> putString("artifact", checked { door.adopt(argument) })
            "probe" -> putBoolean("readable", argument != null && File(argument).canRead())
        }
    }

    private fun <T> checked(find: () -> T): T = try {
        find()
    } catch (refused: ContractError) {
        throw FileNotFoundException(refused.message)
    }

    override fun getType(uri: Uri): String? {
        val path: List<String> = uri.pathSegments
        return if (path.lastOrNull() == RunFolder.SHARED) "application/jsonl" else null
    }

    override fun insert(uri: Uri, values: ContentValues?): Uri? = null

    override fun update(uri: Uri, values: ContentValues?, selection: String?, arguments: Array<String>?) = 0

    companion object {
        const val AUTHORITY = "slm.toolkit.app.runs"
        private const val GUARD = "android.permission.DUMP"
    }
}
