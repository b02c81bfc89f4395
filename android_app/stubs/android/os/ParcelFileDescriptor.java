package android.os;

public class ParcelFileDescriptor implements Parcelable {
    public static final int MODE_READ_ONLY = 0x10000000;
    public static ParcelFileDescriptor open(java.io.File file, int mode) throws java.io.FileNotFoundException { return null; }
    public static ParcelFileDescriptor[] createPipe() throws java.io.IOException { return null; }
    public static class AutoCloseOutputStream extends java.io.FileOutputStream {
        public AutoCloseOutputStream(ParcelFileDescriptor descriptor) { super((java.io.FileDescriptor) null); }
    }
    public static int parseMode(String mode) { return 0; }
}
