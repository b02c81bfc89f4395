package android.widget;

public class ArrayAdapter<T> extends BaseAdapter {
    public ArrayAdapter(android.content.Context context, int layout, java.util.List<T> objects) {}
}
