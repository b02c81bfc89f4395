package slm.toolkit.app

import android.app.ActivityManager
import android.content.Context
import android.os.Build
import slm.toolkit.core.ProcessEnd
import slm.toolkit.core.RunProcess

/** The app's process `:runner`, as Android tells of it. */
class AndroidRunProcess(private val context: Context) : RunProcess {
    private val manager = context.getSystemService(ActivityManager::class.java)
    private val name = "${context.packageName}:runner"

    override fun lives(): Boolean = manager.runningAppProcesses.orEmpty().any { it.processName == name }

    override fun lastEnd(): ProcessEnd? {
        if (Build.VERSION.SDK_INT < ANDROID_11) return null
        val ends = manager.getHistoricalProcessExitReasons(context.packageName, 0, MOST_ENDS)
        return ends.find { it.processName == name }?.let { ProcessEnd(it.reason, it.status) }
    }

    private companion object {
        const val ANDROID_11 = 30
        const val MOST_ENDS = 16
    }
}
