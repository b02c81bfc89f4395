package slm.toolkit.app

import android.content.Context
import java.io.File
import slm.toolkit.core.Door
import slm.toolkit.core.artifactsBeside
import slm.toolkit.core.enginesIn

/** Where `slm push` puts artifacts; shell's folder, which apps may read on the phones that allow it. */
val PUSHED = File("/data/local/tmp/slm-toolkit/artifacts")

/** The folder of artifacts that were imported, or copied by the host, in the app's own storage. */
fun importedOf(context: Context) = artifactsBeside(runsOf(context))

/** The files that the app was installed from; libraries may be in one of their own. */
fun packagesOf(context: Context): List<File> {
    val app = context.applicationInfo
    return (listOf(app.sourceDir) + app.splitSourceDirs.orEmpty()).map(::File)
}

/** What this app can say of its runs. */
fun doorOf(context: Context) = Door(runsOf(context), AndroidRunProcesses(context)) { enginesIn(packagesOf(context)) }

/** The folder of all runs, in the app's own storage. */
fun runsOf(context: Context) = File(context.filesDir, "runs")
