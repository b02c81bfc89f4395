package slm.toolkit.checks

import java.awt.Color
import java.awt.Font
import java.awt.Graphics2D
import java.awt.RenderingHints
import java.awt.image.BufferedImage
import java.io.File
import javax.imageio.ImageIO
import slm.toolkit.core.Ink
import slm.toolkit.core.Pen
import slm.toolkit.core.drawSteps
import slm.toolkit.core.figuresOf

/** Draws the chart of a result into a PNG, as the app draws it on a phone's screen. */
fun drawChart(result: File, target: File, width: Int, height: Int) {
    val image = BufferedImage(width, height, BufferedImage.TYPE_INT_RGB)
    val graphics = image.createGraphics()
    graphics.color = Color.WHITE
    graphics.fillRect(0, 0, width, height)
    graphics.setRenderingHint(RenderingHints.KEY_ANTIALIASING, RenderingHints.VALUE_ANTIALIAS_ON)
    drawSteps(ImagePen(graphics, width.toFloat(), height.toFloat()), figuresOf(result.readText(), "r1").decodeNs)
    ImageIO.write(image, "png", target)
}

private class ImagePen(private val graphics: Graphics2D, override val width: Float, override val height: Float) : Pen {
    override val textHeight = 16f

    init {
        graphics.font = Font(Font.SANS_SERIF, Font.PLAIN, textHeight.toInt())
    }

    override fun line(x1: Float, y1: Float, x2: Float, y2: Float, ink: Ink) {
        graphics.color = COLOURS.getValue(ink)
        graphics.drawLine(x1.toInt(), y1.toInt(), x2.toInt(), y2.toInt())
    }

    override fun text(x: Float, y: Float, text: String) {
        graphics.color = Color.BLACK
        graphics.drawString(text, x, y)
    }

    private companion object {
        val COLOURS = mapOf(Ink.AXIS to Color.GRAY, Ink.STEPS to Color.LIGHT_GRAY, Ink.LATEST to Color.BLUE)
    }
}
