package android.net;

public abstract class Uri implements android.os.Parcelable {
    public static Uri parse(String text) { return null; }
    public abstract java.util.List<String> getPathSegments();
}
