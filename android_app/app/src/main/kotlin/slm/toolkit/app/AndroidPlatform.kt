package slm.toolkit.app

import android.app.ActivityManager
import android.content.Context
import android.os.BatteryManager
import android.os.Build
import android.os.Debug
import android.os.PowerManager
import slm.toolkit.core.AppState
import slm.toolkit.core.Platform

/** What Android tells an app about itself and its phone. Nothing here is asked more often than it may be. */
class AndroidPlatform(private val context: Context, private val state: AppState) : Platform {
    private var headroomAskedMs = 0L
    private var headroom: Float? = null

    override fun readings(): Map<String, Any?> {
        val importance = ActivityManager.RunningAppProcessInfo()
        ActivityManager.getMyMemoryState(importance)
        val power = context.getSystemService(PowerManager::class.java)
        val battery = context.getSystemService(BatteryManager::class.java)
        val runtime = Runtime.getRuntime()
        return linkedMapOf(
            "app_state" to state.word,
            "importance" to importance.importance,
            "target_sdk" to context.applicationInfo.targetSdkVersion,
            "api_level" to Build.VERSION.SDK_INT,
            "heap_bytes" to runtime.totalMemory() - runtime.freeMemory(),
            "pss_bytes" to Debug.getPss().takeIf { it > 0 }?.times(KILO),
            "thermal_status" to if (Build.VERSION.SDK_INT >= ANDROID_10) power.currentThermalStatus else null,
            "thermal_headroom" to headroom(power),
            // Older versions say 0 for what they do not know.
            "battery_percent" to battery.getIntProperty(BatteryManager.BATTERY_PROPERTY_CAPACITY).takeIf { it in 1..100 },
            "charging" to battery.isCharging,
            "power_save" to power.isPowerSaveMode,
            "sustained_performance" to false,
        )
    }

    /** Null where Android does not say; asked more than once a second it would say nothing, so the last stays as long. */
    private fun headroom(power: PowerManager): Float? {
        val now = System.currentTimeMillis()
        if (Build.VERSION.SDK_INT >= ANDROID_11 && now - headroomAskedMs >= HEADROOM_INTERVAL_MS) {
            headroomAskedMs = now
            headroom = power.getThermalHeadroom(0).takeIf { it.isFinite() }
        }
        return headroom
    }

    private companion object {
        const val KILO = 1024L
        const val ANDROID_10 = 29
        const val ANDROID_11 = 30
        const val HEADROOM_INTERVAL_MS = 1100
    }
}
