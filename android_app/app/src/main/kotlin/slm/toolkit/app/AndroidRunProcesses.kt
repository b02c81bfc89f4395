package slm.toolkit.app

import android.app.ActivityManager
import android.content.Context
import android.os.Build
import slm.toolkit.core.ProcessEnd
import slm.toolkit.core.RunProcesses

/** The app's processes `:runner`, as Android tells of them. */
class AndroidRunProcesses(private val context: Context) : RunProcesses {
    private val manager = context.getSystemService(ActivityManager::class.java)
    private val name = "${context.packageName}:runner"

    override fun lives(pid: Int): Boolean =
        manager.runningAppProcesses.orEmpty().any { it.pid == pid && it.processName == name }

    override fun endOf(pid: Int): ProcessEnd? {
        if (Build.VERSION.SDK_INT < ANDROID_11) return null
        // The latest comes first, should the number have been another process's once.
        val ends = manager.getHistoricalProcessExitReasons(context.packageName, pid, 1)
        return ends.find { it.processName == name }?.let { ProcessEnd(it.reason, it.status) }
    }

    private companion object {
        const val ANDROID_11 = 30
    }
}
