package android.widget;

public class ListView extends AbsListView {
    public ListView(android.content.Context context) { super(context); }
    public ListAdapter getAdapter() { return null; }
    public void setAdapter(ListAdapter adapter) {}
}
