package slm.toolkit.app

import android.app.ActivityManager
import android.content.Context
import android.os.Build
import java.io.File
import slm.toolkit.core.CONTRACT
import slm.toolkit.core.newId
import slm.toolkit.core.sha256

/** What a shared run says of this phone. Apps may not read serial numbers, so the app has made one up for itself. */
fun deviceFacts(context: Context): Map<String, Any?> {
    val memory = ActivityManager.MemoryInfo()
    context.getSystemService(ActivityManager::class.java).getMemoryInfo(memory)
    val cpus = File("/sys/devices/system/cpu").list()?.count { CPU.matches(it) }
    return linkedMapOf(
        "serial" to "app-${installation(context)}",
        "manufacturer" to Build.MANUFACTURER,
        "model" to Build.MODEL,
        "soc" to if (Build.VERSION.SDK_INT >= ANDROID_12) Build.SOC_MODEL else null,
        "abi" to Build.SUPPORTED_ABIS[0],
        "os_version" to "Android ${Build.VERSION.RELEASE}",
        "api_level" to Build.VERSION.SDK_INT,
        "build" to Build.FINGERPRINT,
        "cpu_cores" to cpus?.takeIf { it > 0 },
        "ram_bytes" to memory.totalMem,
        "emulated" to false,
    )
}

/** What a shared run says of this app. */
fun appFacts(context: Context): Map<String, Any?> = linkedMapOf(
    "version" to context.packageManager.getPackageInfo(context.packageName, 0).versionName,
    "contract" to CONTRACT,
    "sha256" to sha256(File(context.applicationInfo.sourceDir)),
)

private fun installation(context: Context): String {
    val kept = context.getSharedPreferences("installation", Context.MODE_PRIVATE)
    return kept.getString("id", null) ?: newId().also { kept.edit().putString("id", it).apply() }
}

private val CPU = Regex("cpu[0-9]+")
private const val ANDROID_12 = 31
