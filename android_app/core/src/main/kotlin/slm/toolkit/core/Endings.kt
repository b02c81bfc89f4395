package slm.toolkit.core

/** How a process ended, in the numbers of android.app.ApplicationExitInfo. */
class ProcessEnd(val reason: Int, val status: Int)

/** How a run ended: the runner's exit code, one of ours, or 128 and a signal. */
data class Ending(val code: Int, val why: String)

/** The activity was no longer in the foreground: figures from there on would be those of another condition. */
val LEFT_FOREGROUND = Ending(12, "left_foreground")

private const val ENDED_BY_ANDROID = 13
private const val SIGNALLED = 128
private const val SIGABRT = 6
private const val SIGKILL = 9

private val NAMES = mapOf(
    1 to "exit_self", 2 to "signaled", 3 to "low_memory", 4 to "crash", 5 to "crash_native", 6 to "anr",
    7 to "initialization_failure", 8 to "permission_change", 9 to "excessive_resource_usage", 10 to "user_requested",
    11 to "user_stopped", 12 to "dependency_died", 13 to "other", 14 to "freezer", 15 to "package_state_change",
    16 to "package_updated",
)

/**
 * The ending of a run whose process is gone and wrote none.
 *
 * @param end null where Android does not tell, as before Android 11.
 */
fun endingOf(end: ProcessEnd?): Ending {
    val why = end?.let { NAMES[it.reason] ?: "reason_${it.reason}" } ?: "unknown"
    return when (why) {
        "low_memory" -> Ending(SIGNALLED + SIGKILL, why)
        "signaled" -> Ending(SIGNALLED + end!!.status, why)
        "crash_native" -> Ending(SIGNALLED + (end!!.status.takeIf { it > 0 } ?: SIGABRT), why)
        // Zero would say that all went well; then there would be an ending in the folder.
        "exit_self" -> Ending(end!!.status.takeIf { it != 0 } ?: ENDED_BY_ANDROID, why)
        else -> Ending(ENDED_BY_ANDROID, why)
    }
}
