package android.app;

public class AlertDialog extends Dialog {
    public static class Builder {
        public Builder(android.content.Context context) {}
        public Builder setMessage(CharSequence message) { return null; }
        public Builder setMessage(int message) { return null; }
        public Builder setTitle(int title) { return null; }
        public Builder setItems(CharSequence[] items, android.content.DialogInterface.OnClickListener listener) { return null; }
        public Builder setView(android.view.View view) { return null; }
        public Builder setPositiveButton(int text, android.content.DialogInterface.OnClickListener listener) { return null; }
        public AlertDialog show() { return null; }
    }
}
