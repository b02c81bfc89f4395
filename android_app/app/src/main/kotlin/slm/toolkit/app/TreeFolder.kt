package slm.toolkit.app

import android.content.ContentResolver
import android.net.Uri
import android.provider.DocumentsContract
import java.io.FileNotFoundException
import java.io.InputStream
import slm.toolkit.core.PickedFolder

/** What the system's file picker gives for a folder: documents, wherever they lie. */
class TreeFolder(private val resolver: ContentResolver, tree: Uri) : PickedFolder {
    private val documents = HashMap<String, Uri>()

    init {
        val root = DocumentsContract.getTreeDocumentId(tree)
        val children = DocumentsContract.buildChildDocumentsUriUsingTree(tree, root)
        resolver.query(children, COLUMNS, null, null, null)?.use { rows ->
            while (rows.moveToNext()) {
                documents[rows.getString(1)] = DocumentsContract.buildDocumentUriUsingTree(tree, rows.getString(0))
            }
        }
    }

    override fun open(name: String): InputStream {
        val document = documents[name] ?: throw FileNotFoundException(name)
        return resolver.openInputStream(document) ?: throw FileNotFoundException(name)
    }

    private companion object {
        val COLUMNS = arrayOf("document_id", "_display_name")
    }
}
