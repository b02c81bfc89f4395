package android.app;

public class ActivityManager {
    public static class RunningAppProcessInfo {
        public int importance;
        public int pid;
        public String processName;
        public RunningAppProcessInfo() {}
    }
    public static class MemoryInfo {
        public long totalMem;
        public MemoryInfo() {}
    }
    public void getMemoryInfo(MemoryInfo memory) {}
    public static void getMyMemoryState(RunningAppProcessInfo state) {}
    public java.util.List<RunningAppProcessInfo> getRunningAppProcesses() { return null; }
    public java.util.List<ApplicationExitInfo> getHistoricalProcessExitReasons(String name, int pid, int most) { return null; }
}
