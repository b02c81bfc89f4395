package slm.toolkit.app

import android.content.Context
import java.text.DateFormat
import java.util.Date
import slm.toolkit.core.Change
import slm.toolkit.core.Door
import slm.toolkit.core.NotReady
import slm.toolkit.core.PastRun
import slm.toolkit.core.RunFolder
import slm.toolkit.core.pastRun

// By the words of slm.toolkit.core.Endings and Door; whatever else Android says is shown as it is.
private val ENDINGS = mapOf(
    "ok" to R.string.ended_ok,
    "runner" to R.string.ended_runner,
    "left_foreground" to R.string.ended_left_foreground,
    "low_memory" to R.string.ended_low_memory,
    "signaled" to R.string.ended_signaled,
    "crash" to R.string.ended_crash,
    "crash_native" to R.string.ended_crash,
    "anr" to R.string.ended_anr,
    "user_requested" to R.string.ended_by_user,
    "user_stopped" to R.string.ended_by_user,
    "package_updated" to R.string.ended_by_update,
    "hot" to R.string.not_ready_hot,
    "low_battery" to R.string.not_ready_battery,
    "power_save" to R.string.not_ready_power_save,
    "not_started" to R.string.ended_not_started,
    "unknown" to R.string.ended_unknown,
)

// The runner's word for SIGTERM, which a cancelled run ends with.
private const val CANCELLED = "143 runner"

/** All runs, the latest first. Takes a moment where Android has yet to say how one ended, so not for the main thread. */
fun pastRuns(context: Context): List<PastRun> {
    val door = doorOf(context)
    return RunFolder.all(runsOf(context)).map { pastRun(it, door.state(it.id)) }.sortedByDescending { it.startedMs ?: Long.MAX_VALUE }
}

/** What became of a run, by [Door.state]'s word for it. */
fun stateWords(context: Context, state: String): String {
    if (state == Door.RUNNING) return context.getString(R.string.still_running)
    if (state == CANCELLED) return context.getString(R.string.ended_cancelled)
    val (code, why) = state.split(' ', limit = 2).let { it[0] to it.getOrElse(1) { "" } }
    return ENDINGS[why]?.let { context.getString(it, code) } ?: context.getString(R.string.ended_otherwise, code, why)
}

/** What is in the way of a run by hand. */
fun notReadyWords(context: Context, unmet: NotReady): String = context.getString(ENDINGS.getValue(unmet.word))

/** A run in the lines of a list. */
fun linesOf(context: Context, run: PastRun): String {
    val decode = run.figures?.decodeTokensPerSecond
    val end = if (decode == null) stateWords(context, run.state) else context.getString(R.string.decode_rate, decode)
    return context.getString(R.string.run_line, modelOf(context, run), end, conditionsOf(context, run))
}

/** What was measured; a run that a computer has asked for says no name. */
fun modelOf(context: Context, run: PastRun): String = run.model ?: context.getString(R.string.model_of_host, run.id)

/** When and under which conditions a run was made. */
fun conditionsOf(context: Context, run: PastRun): String {
    val unknown = context.getString(R.string.unknown)
    val date = run.startedMs?.let { DateFormat.getDateTimeInstance(DateFormat.MEDIUM, DateFormat.SHORT).format(Date(it)) }
    val threads = run.figures?.start?.get("threads") as? Long
    return context.getString(
        R.string.conditions, date ?: unknown, threads?.toString() ?: unknown, changeOf(context, run.batteryPercent),
        changeOf(context, run.thermalStatus),
    )
}

private fun changeOf(context: Context, change: Change): String {
    val unknown = context.getString(R.string.unknown)
    if (change.first == null && change.last == null) return unknown
    return context.getString(R.string.change, change.first?.toString() ?: unknown, change.last?.toString() ?: unknown)
}
