package android.widget;

public abstract class AdapterView<T extends Adapter> extends android.view.ViewGroup {
    public AdapterView(android.content.Context context) { super(context); }
    public interface OnItemClickListener {
        void onItemClick(AdapterView<?> parent, android.view.View view, int position, long id);
    }
    public void setOnItemClickListener(OnItemClickListener listener) {}
    public abstract T getAdapter();
    public abstract void setAdapter(T adapter);
}
