package android.app;

public class Activity extends android.view.ContextThemeWrapper {
    protected void onCreate(android.os.Bundle saved) {}
    protected void onResume() {}
    protected void onNewIntent(android.content.Intent intent) {}
    protected void onStop() {}
    protected void onDestroy() {}
    public void onWindowFocusChanged(boolean hasFocus) {}
    public void startActivityForResult(android.content.Intent intent, int request) {}
    protected void onActivityResult(int request, int result, android.content.Intent data) {}
    public void setContentView(int layout) {}
    public <T extends android.view.View> T findViewById(int id) { return null; }
    public android.view.LayoutInflater getLayoutInflater() { return null; }
    public android.view.Window getWindow() { return null; }
    public android.content.Intent getIntent() { return null; }
    public void finish() {}
    public boolean isFinishing() { return false; }
    public boolean isDestroyed() { return false; }
    public boolean isChangingConfigurations() { return false; }
    public final Application getApplication() { return null; }
    public final void runOnUiThread(Runnable action) {}
}
