package android.app;

public class Notification {
    public static class Builder {
        public Builder(android.content.Context context, String channel) {}
        public Builder setSmallIcon(int icon) { return null; }
        public Builder setContentTitle(CharSequence title) { return null; }
        public Notification build() { return null; }
    }
}
