package android.os;

public class Process {
    public static final void killProcess(int pid) {}
    public static final int myPid() { return 0; }
}
