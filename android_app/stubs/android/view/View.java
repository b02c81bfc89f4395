package android.view;

public class View {
    public static final int VISIBLE = 0;
    public static final int GONE = 8;
    public interface OnClickListener {
        void onClick(View view);
    }
    public View(android.content.Context context) {}
    public View(android.content.Context context, android.util.AttributeSet attributes) {}
    public void setVisibility(int visibility) {}
    public int getVisibility() { return 0; }
    public void setOnClickListener(OnClickListener listener) {}
    protected void onDraw(android.graphics.Canvas canvas) {}
    public void invalidate() {}
    public void setContentDescription(CharSequence text) {}
    public CharSequence getContentDescription() { return null; }
    public android.content.res.Resources getResources() { return null; }
    public final android.content.Context getContext() { return null; }
    public boolean post(Runnable action) { return false; }
    public void scrollTo(int x, int y) {}
    public final int getWidth() { return 0; }
    public final int getHeight() { return 0; }
    public void setEnabled(boolean enabled) {}
    public boolean isEnabled() { return false; }
}
