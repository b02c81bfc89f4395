package android.content;

public abstract class ContentProvider {
    public abstract boolean onCreate();
    public final Context getContext() { return null; }
    public android.os.ParcelFileDescriptor openFile(android.net.Uri uri, String mode) throws java.io.FileNotFoundException { return null; }
    public abstract android.database.Cursor query(android.net.Uri uri, String[] columns, String selection, String[] arguments, String order);
    public abstract String getType(android.net.Uri uri);
    public abstract android.net.Uri insert(android.net.Uri uri, ContentValues values);
    public abstract int delete(android.net.Uri uri, String selection, String[] arguments);
    public abstract int update(android.net.Uri uri, ContentValues values, String selection, String[] arguments);
    public android.os.Bundle call(String method, String argument, android.os.Bundle extras) { return null; }
}
