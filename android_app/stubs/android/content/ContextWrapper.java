package android.content;

public class ContextWrapper extends Context {
    public java.io.File getFilesDir() { return null; }
    public android.content.pm.ApplicationInfo getApplicationInfo() { return null; }
    public android.content.pm.PackageManager getPackageManager() { return null; }
    public ContentResolver getContentResolver() { return null; }
    public String getPackageName() { return null; }
    public void enforceCallingPermission(String permission, String message) {}
    public android.content.res.Resources getResources() { return null; }
    public SharedPreferences getSharedPreferences(String name, int mode) { return null; }
    public void startActivity(Intent intent) {}
}
