package android.os;

public final class PowerManager {
    public int getCurrentThermalStatus() { return 0; }
    public float getThermalHeadroom(int seconds) { return 0; }
    public boolean isPowerSaveMode() { return false; }
    public WakeLock newWakeLock(int kind, String tag) { return null; }
    public static final int PARTIAL_WAKE_LOCK = 1;
    public final class WakeLock {
        public void acquire(long timeoutMs) {}
        public void release() {}
    }
}
