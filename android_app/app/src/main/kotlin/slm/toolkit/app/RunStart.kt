package slm.toolkit.app

import android.content.Context
import android.content.Intent
import android.system.Os
import android.util.Log
import java.io.FileOutputStream
import slm.toolkit.core.ContractError
import slm.toolkit.core.RunFolder
import slm.toolkit.core.preparedRun

/** Extra of an intent: the id of a run; what runs is in its folder. */
const val RUN_ID = "run_id"

private const val STANDARD_ERROR = 2

/** The folder of the run that an intent names; null where there is nothing to start, which the log says. */
fun folderToRun(context: Context, intent: Intent?): RunFolder? = try {
    preparedRun(runsOf(context), intent?.getStringExtra(RUN_ID))
} catch (refused: ContractError) {
    Log.w("slm-toolkit", "not started: ${refused.message}")
    null
}

/** What engines print on stderr belongs to the run. */
fun takeStandardError(folder: RunFolder) {
    FileOutputStream(folder.file(RunFolder.ERROR), true).use { Os.dup2(it.fd, STANDARD_ERROR) }
}
