package slm.toolkit.core

import java.io.IOException

/** One reading at a run's beginning and at its end; null is what Android did not say. */
data class Change(val first: Long?, val last: Long?)

/**
 * A run as the app lists it: what was measured, when and under which conditions, and how it ended.
 *
 * @property state as [Door.state] says it.
 * @property model the artifact's name; null of a run that a host asked for, which says no name.
 * @property startedMs since 1970; null of a run that has not begun.
 * @property problem why there are no [figures].
 */
class PastRun(
    val id: String,
    val state: String,
    val model: String?,
    val startedMs: Long?,
    val appState: String?,
    val batteryPercent: Change,
    val thermalStatus: Change,
    val figures: Figures?,
    val problem: String?,
)

/** The run in a folder; [state] is what [Door.state] says of it. */
fun pastRun(folder: RunFolder, state: String): PastRun {
    val samples = samplesOf(folder)
    val begun = samples.firstOrNull()
    val figures = if (state.startsWith("0 ")) figuresOrWhy(folder) else null to state
    return PastRun(
        folder.id, state, (parsed(textOf(folder, RunFolder.MANIFEST)))?.get("name") as? String,
        (begun?.get("unix_ns") as? Long)?.div(NS_PER_MS), begun?.get("app_state") as? String,
        changeOf(samples, "battery_percent"), changeOf(samples, "thermal_status"), figures.first, figures.second,
    )
}

/** Why two runs are not compared. */
enum class Difference { WORK, APP_STATE, NO_FIGURES }

/** How a run stands to a baseline: [ratio] of their decode rates, or why there is none. */
class Comparison(val ratio: Double?, val difference: Difference?)

/** Compares the decode rates of two runs of one phone. An app state that is not known is no app state in common. */
fun compared(run: PastRun, baseline: PastRun): Comparison {
    val here = run.figures ?: return Comparison(null, Difference.NO_FIGURES)
    val there = baseline.figures ?: return Comparison(null, Difference.NO_FIGURES)
    val decode = here.decodeTokensPerSecond ?: return Comparison(null, Difference.NO_FIGURES)
    val before = there.decodeTokensPerSecond ?: return Comparison(null, Difference.NO_FIGURES)
    return when {
        !comparable(here, there) -> Comparison(null, Difference.WORK)
        run.appState == null || run.appState != baseline.appState -> Comparison(null, Difference.APP_STATE)
        else -> Comparison(decode / before, null)
    }
}

private fun figuresOrWhy(folder: RunFolder): Pair<Figures?, String?> = try {
    figuresOf(folder.file(RunFolder.RESULT).readText(), folder.id) to null
} catch (refused: ResultError) {
    null to refused.message
} catch (unreadable: IOException) {
    null to unreadable.message
}

/** The whole lines of `app.jsonl`: a run that was killed may have left half of one. */
private fun samplesOf(folder: RunFolder): List<Map<*, *>> =
    textOf(folder, RunFolder.APP).orEmpty().lines().filter(String::isNotBlank).mapNotNull(::parsed)

private fun changeOf(samples: List<Map<*, *>>, name: String) =
    Change(samples.firstOrNull()?.get(name) as? Long, samples.lastOrNull()?.get(name) as? Long)

private fun textOf(folder: RunFolder, name: String): String? = try {
    folder.file(name).readText()
} catch (_: IOException) {
    null
}

private fun parsed(text: String?): Map<*, *>? = try {
    text?.let { parseJson(it) as? Map<*, *> }
} catch (_: JsonError) {
    null
}

private const val NS_PER_MS = 1_000_000L
