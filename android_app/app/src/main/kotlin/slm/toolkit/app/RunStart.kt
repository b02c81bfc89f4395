package slm.toolkit.app

import android.app.Application
import android.content.Intent
import android.system.Os
import android.util.Log
import java.io.FileOutputStream
import slm.toolkit.core.AppState
import slm.toolkit.core.ContractError
import slm.toolkit.core.HandGate
import slm.toolkit.core.RunFolder
import slm.toolkit.core.RunSession
import slm.toolkit.core.RunSlot
import slm.toolkit.core.Sampler

/** Extra of an intent: the id of a run; what runs is in its folder. */
const val RUN_ID = "run_id"

/** Extra of an intent: true of a run that a person has asked for on the phone. */
const val BY_HAND = "by_hand"

private const val STANDARD_ERROR = 2

/** The run of this process. */
fun slotOf(application: Application): RunSlot = (application as ToolkitApplication).slot

/** Begins the run that an intent names; null where there is nothing to start, which the log says and [refused] is told. */
fun beginRun(
    application: Application, intent: Intent?, state: AppState, refused: (String) -> Unit = {},
): RunSession? = try {
    slotOf(application).begin(intent?.getStringExtra(RUN_ID)) { folder ->
        takeStandardError(folder)
        val platform = AndroidPlatform(application, state)
        val gate = if (intent?.getBooleanExtra(BY_HAND, false) == true) HandGate(platform) else null
        RunSession(folder, Sampler(folder, platform), gate)
    }
} catch (error: ContractError) {
    Log.w("slm-toolkit", "not started: ${error.message}")
    refused(error.message.orEmpty())
    null
}

/** What engines print on stderr belongs to the run. */
private fun takeStandardError(folder: RunFolder) {
    FileOutputStream(folder.file(RunFolder.ERROR), true).use { Os.dup2(it.fd, STANDARD_ERROR) }
}
