package android.widget;

public class ListView extends AbsListView {
    public ListView(android.content.Context context) { super(context); }
    public void addHeaderView(android.view.View view, Object data, boolean selectable) {}
    public int getHeaderViewsCount() { return 0; }
    public ListAdapter getAdapter() { return null; }
    public void setAdapter(ListAdapter adapter) {}
}
