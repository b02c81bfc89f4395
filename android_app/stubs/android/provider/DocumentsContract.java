package android.provider;

public final class DocumentsContract {
    public static String getTreeDocumentId(android.net.Uri tree) { return null; }
    public static android.net.Uri buildChildDocumentsUriUsingTree(android.net.Uri tree, String parent) { return null; }
    public static android.net.Uri buildDocumentUriUsingTree(android.net.Uri tree, String document) { return null; }
}
