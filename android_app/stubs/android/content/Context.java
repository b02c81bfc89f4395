package android.content;

public abstract class Context {
    public static final int MODE_PRIVATE = 0;
    public final <T> T getSystemService(Class<T> type) { return null; }
    public final String getString(int id) { return null; }
    public final String getString(int id, Object... arguments) { return null; }
    public final int getColor(int id) { return 0; }
    public abstract java.io.File getFilesDir();
    public abstract android.content.pm.ApplicationInfo getApplicationInfo();
    public abstract android.content.pm.PackageManager getPackageManager();
    public abstract ContentResolver getContentResolver();
    public abstract String getPackageName();
    public abstract void enforceCallingPermission(String permission, String message);
    public abstract android.content.res.Resources getResources();
    public abstract SharedPreferences getSharedPreferences(String name, int mode);
    public abstract void startActivity(Intent intent);
}
