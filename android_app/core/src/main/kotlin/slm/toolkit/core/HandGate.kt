package slm.toolkit.core

/** What is in the way of a run by hand; [word] is how it then ends. [lasting]: waiting does not help. */
enum class NotReady(val word: String, val lasting: Boolean) {
    POWER_SAVE("power_save", true),
    LOW_BATTERY("low_battery", true),
    CHARGING("low_battery", false),
    HOT("hot", false),
}

/**
 * What a run by hand asks of the phone before it begins: of the host's default gate (docs/protocol.md) what an app can
 * read. What Android does not say is in nobody's way.
 *
 * @param limitMs how long a phone may take to cool or to charge.
 * @param pollMs between two looks; Android tells the headroom once a second.
 */
class HandGate(private val platform: Platform, private val limitMs: Long = 300_000, private val pollMs: Long = 2_000) {
    /** Milliseconds that [await] took. */
    var waitedMs = 0L
        private set

    /** What was in the way at the first look. */
    var first: List<NotReady> = emptyList()
        private set

    /**
     * Waits until nothing is in the way.
     *
     * @param stopped whether nobody waits any more.
     * @param show is told what it waits for.
     * @return what still is in the way, when it lasts or has taken too long.
     */
    fun await(stopped: () -> Boolean, show: (List<NotReady>) -> Unit): List<NotReady> {
        val began = System.nanoTime()
        first = inTheWay(platform.readings())
        var now = first
        while (now.isNotEmpty() && now.none { it.lasting } && waitedMs < limitMs && !stopped()) {
            show(now)
            Thread.sleep(pollMs)
            waitedMs = (System.nanoTime() - began) / NS_PER_MS
            now = inTheWay(platform.readings())
        }
        return now
    }

    private companion object {
        const val NS_PER_MS = 1_000_000L
    }
}

/** What is in the way by an app's readings, the worst first. */
fun inTheWay(readings: Map<String, Any?>): List<NotReady> {
    val percent = (readings["battery_percent"] as? Int)?.takeIf { it in 0..MAXIMUM_PERCENT }
    val status = readings["thermal_status"] as? Int
    val headroom = (readings["thermal_headroom"] as? Float)?.takeIf { it.isFinite() }
    return listOfNotNull(
        NotReady.POWER_SAVE.takeIf { readings["power_save"] == true },
        (if (readings["charging"] == true) NotReady.CHARGING else NotReady.LOW_BATTERY)
            .takeIf { percent != null && percent < MINIMUM_PERCENT },
        NotReady.HOT.takeIf { (status != null && status > 0) || (headroom != null && headroom > MAXIMUM_HEADROOM) },
    )
}

private const val MINIMUM_PERCENT = 20
private const val MAXIMUM_PERCENT = 100
// At 1.0 Android throttles severely; not measured by this project yet.
private const val MAXIMUM_HEADROOM = 0.85f
