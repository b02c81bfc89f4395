package android.content;

public interface SharedPreferences {
    String getString(String name, String otherwise);
    Editor edit();
    interface Editor {
        Editor putString(String name, String value);
        void apply();
    }
}
