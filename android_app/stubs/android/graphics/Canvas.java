package android.graphics;

public class Canvas {
    public void drawLine(float x1, float y1, float x2, float y2, Paint paint) {}
    public void drawText(String text, float x, float y, Paint paint) {}
}
