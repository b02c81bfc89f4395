package android.content;

public class Intent {
    public static final String ACTION_CREATE_DOCUMENT = "android.intent.action.CREATE_DOCUMENT";
    public static final String CATEGORY_OPENABLE = "android.intent.category.OPENABLE";
    public static final String EXTRA_TITLE = "android.intent.extra.TITLE";
    public static final String ACTION_OPEN_DOCUMENT_TREE = "android.intent.action.OPEN_DOCUMENT_TREE";
    public static final String ACTION_SEND = "android.intent.action.SEND";
    public static final String EXTRA_STREAM = "android.intent.extra.STREAM";
    public static final int FLAG_GRANT_READ_URI_PERMISSION = 1;
    public Intent(String action) {}
    public Intent(Context context, Class<?> type) {}
    public Intent putExtra(String name, String value) { return null; }
    public Intent putExtra(String name, boolean value) { return null; }
    public Intent putExtra(String name, android.os.Parcelable value) { return null; }
    public String getStringExtra(String name) { return null; }
    public boolean getBooleanExtra(String name, boolean otherwise) { return false; }
    public android.net.Uri getData() { return null; }
    public Intent setType(String type) { return null; }
    public Intent addCategory(String category) { return null; }
    public Intent addFlags(int flags) { return null; }
    public static Intent createChooser(Intent target, CharSequence title) { return null; }
}
