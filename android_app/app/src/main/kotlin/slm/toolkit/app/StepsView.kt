package slm.toolkit.app

import android.content.Context
import android.graphics.Canvas
import android.graphics.Paint
import android.util.AttributeSet
import android.util.TypedValue
import android.view.View
import slm.toolkit.core.Ink
import slm.toolkit.core.Pen
import slm.toolkit.core.drawSteps

/** The chart of decode steps, in the theme's colours and the user's text size. */
class StepsView(context: Context, attributes: AttributeSet) : View(context, attributes) {
    private var repetitions: List<List<Long>> = emptyList()
    private val paint = Paint(Paint.ANTI_ALIAS_FLAG)

    fun show(repetitions: List<List<Long>>) {
        this.repetitions = repetitions
        contentDescription = resources.getString(R.string.chart_description, repetitions.size)
        invalidate()
    }

    override fun onDraw(canvas: Canvas) {
        super.onDraw(canvas)
        val size = TypedValue.applyDimension(TypedValue.COMPLEX_UNIT_SP, TEXT_SP, resources.displayMetrics)
        drawSteps(CanvasPen(canvas, size), repetitions)
    }

    private inner class CanvasPen(private val canvas: Canvas, override val textHeight: Float) : Pen {
        override val width get() = this@StepsView.width.toFloat()
        override val height get() = this@StepsView.height.toFloat()

        override fun line(x1: Float, y1: Float, x2: Float, y2: Float, ink: Ink) {
            paint.color = context.getColor(COLOURS.getValue(ink))
            paint.strokeWidth = textHeight / LINES_PER_TEXT
            canvas.drawLine(x1, y1, x2, y2, paint)
        }

        override fun text(x: Float, y: Float, text: String) {
            paint.color = context.getColor(R.color.text)
            paint.textSize = textHeight
            canvas.drawText(text, x, y, paint)
        }
    }

    private companion object {
        const val TEXT_SP = 12f
        const val LINES_PER_TEXT = 8
        val COLOURS = mapOf(
            Ink.AXIS to R.color.axis, Ink.STEPS to R.color.steps, Ink.LATEST to R.color.latest,
            Ink.TEXT to R.color.text,
        )
    }
}
