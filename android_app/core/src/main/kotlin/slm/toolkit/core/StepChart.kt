package slm.toolkit.core

/** What a line or a text is for; whoever draws has colours for it. */
enum class Ink { AXIS, TEXT, STEPS, LATEST }

/** A surface to draw on, its zero at the top left. */
interface Pen {
    val width: Float
    val height: Float

    /** Height of a line of text. */
    val textHeight: Float

    fun line(x1: Float, y1: Float, x2: Float, y2: Float, ink: Ink)

    /** [x] and [y] are where the text's baseline begins. */
    fun text(x: Float, y: Float, text: String)
}

/**
 * Milliseconds of each decode step, one line per repetition, the last one on top. The vertical axis begins at zero, and
 * ends a little above the slowest step.
 *
 * @param repetitions nanoseconds of the steps.
 */
fun drawSteps(pen: Pen, repetitions: List<List<Long>>) {
    val shown = repetitions.filter { it.isNotEmpty() }
    val slowest = shown.maxOfOrNull { it.max() } ?: return
    val top = slowest / NS_PER_MS * HEADROOM
    val left = pen.textHeight * LABEL_WIDTH
    val bottom = pen.height - pen.textHeight * 2
    val most = shown.maxOf { it.size }
    fun x(step: Int) = left + (pen.width - left) * step / maxOf(1, most - 1)
    fun y(milliseconds: Double) = (bottom - (bottom - pen.textHeight) * milliseconds / top).toFloat()
    pen.line(left, bottom, pen.width, bottom, Ink.AXIS)
    pen.line(left, pen.textHeight, left, bottom, Ink.AXIS)
    for (part in listOf(0.0, 0.5, 1.0)) pen.text(0f, y(top * part) + pen.textHeight / 2, "%.1f ms".format(top * part))
    pen.text(left, pen.height - pen.textHeight / 2, "1")
    pen.text(pen.width - pen.textHeight * 2, pen.height - pen.textHeight / 2, "$most")
    for ((index, steps) in shown.withIndex()) {
        val ink = if (index == shown.lastIndex) Ink.LATEST else Ink.STEPS
        for (step in 1 until steps.size) {
            pen.line(x(step - 1), y(steps[step - 1] / NS_PER_MS), x(step), y(steps[step] / NS_PER_MS), ink)
        }
    }
}

private const val NS_PER_MS = 1e6
private const val HEADROOM = 1.1
private const val LABEL_WIDTH = 5
