package android.content.res;

public class Resources {
    public String getString(int id, Object... arguments) { return null; }
    public android.util.DisplayMetrics getDisplayMetrics() { return null; }
}
