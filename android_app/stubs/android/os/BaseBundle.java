package android.os;

public class BaseBundle {
    public void putInt(String name, int value) {}
    public void putString(String name, String value) {}
    public void putBoolean(String name, boolean value) {}
}
