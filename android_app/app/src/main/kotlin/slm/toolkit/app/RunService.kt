package slm.toolkit.app

import android.app.Notification
import android.app.NotificationChannel
import android.app.NotificationManager
import android.app.Service
import android.content.Intent
import android.content.pm.ServiceInfo
import android.os.Build
import android.os.IBinder
import android.os.PowerManager
import android.os.Process
import kotlin.concurrent.thread
import kotlin.system.exitProcess
import slm.toolkit.core.AppState
import slm.toolkit.core.RunSession

/**
 * One run behind other apps, in a foreground service that keeps the CPU awake: a condition of its own, which Android
 * schedules otherwise than what is in front.
 */
class RunService : Service() {
    private var session: RunSession? = null

    override fun onStartCommand(intent: Intent?, flags: Int, startId: Int): Int {
        // Android ends an app that was started as a foreground service and does not say that it is one.
        showNotification()
        val running = beginRun(application, intent, AppState.SERVICE)
        // What cannot be started does not end what runs.
        if (running != null) carryOut(running) else if (session == null) stopSelf()
        return START_NOT_STICKY
    }

    private fun carryOut(running: RunSession) {
        session = running
        val awake = getSystemService(PowerManager::class.java)
            .newWakeLock(PowerManager.PARTIAL_WAKE_LOCK, "slm-toolkit:run")
        thread(name = "run") {
            awake.acquire(LONGEST_RUN_MS)
            running.ended = { unwritten -> if (unwritten != null) exitProcess(unwritten.code) }
            running.run()
            awake.release()
            stopSelf()
        }
    }

    private fun showNotification() {
        val manager = getSystemService(NotificationManager::class.java)
        val name = getString(R.string.app_name)
        manager.createNotificationChannel(NotificationChannel(CHANNEL, name, NotificationManager.IMPORTANCE_LOW))
        val notification = Notification.Builder(this, CHANNEL)
            .setSmallIcon(android.R.drawable.stat_notify_sync)
            .setContentTitle(getString(R.string.running_behind))
            .build()
        if (Build.VERSION.SDK_INT >= ANDROID_14) {
            startForeground(NOTIFICATION, notification, ServiceInfo.FOREGROUND_SERVICE_TYPE_SPECIAL_USE)
        } else {
            startForeground(NOTIFICATION, notification)
        }
    }

    override fun onDestroy() {
        super.onDestroy()
        // The next run is a fresh process. Where nothing ran here, a run of RunActivity's may share this one.
        if (session != null) Process.killProcess(Process.myPid())
    }

    override fun onBind(intent: Intent?): IBinder? = null

    private companion object {
        const val CHANNEL = "runs"
        const val NOTIFICATION = 1
        const val ANDROID_14 = 34
        // A lock without an end would outlive a run that hangs.
        const val LONGEST_RUN_MS = 6 * 3600 * 1000L
    }
}
