package slm.toolkit.app

import android.app.Application
import slm.toolkit.core.RunSlot

/** What each process of the app has one of. */
class ToolkitApplication : Application() {
    /** Activities come and go, also in the middle of a run; this stays. */
    val slot: RunSlot by lazy { RunSlot(runsOf(this)) }
}
