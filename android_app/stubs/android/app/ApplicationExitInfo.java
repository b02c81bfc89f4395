package android.app;

public class ApplicationExitInfo {
    public int getReason() { return 0; }
    public int getStatus() { return 0; }
    public String getProcessName() { return null; }
}
