package android.content;

public abstract class ContentResolver {
    public final android.database.Cursor query(android.net.Uri uri, String[] columns, String selection, String[] arguments, String order) { return null; }
    public final java.io.InputStream openInputStream(android.net.Uri uri) throws java.io.FileNotFoundException { return null; }
    public final java.io.OutputStream openOutputStream(android.net.Uri uri) throws java.io.FileNotFoundException { return null; }
}
