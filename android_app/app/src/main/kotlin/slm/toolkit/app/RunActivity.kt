package slm.toolkit.app

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.os.Process
import android.view.WindowManager
import android.widget.Button
import android.widget.TextView
import java.util.concurrent.CountDownLatch
import kotlin.concurrent.thread
import slm.toolkit.core.AppState
import slm.toolkit.core.LEFT_FOREGROUND
import slm.toolkit.core.LiveSteps
import slm.toolkit.core.RunFolder
import slm.toolkit.core.RunSession
import slm.toolkit.core.Sampler

/** One run in this process, which ends with it. What runs is in the run's folder; the intent says its id alone. */
class RunActivity : Activity() {
    private var session: RunSession? = null
    private val visible = CountDownLatch(1)
    private val steps = LiveSteps()

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        setContentView(R.layout.run)
        findViewById<Button>(R.id.cancel).setOnClickListener { session?.cancel() }
        val folder = folderToRun(this, intent)
        if (folder == null) finish() else begin(folder)
    }

    override fun onWindowFocusChanged(hasFocus: Boolean) {
        super.onWindowFocusChanged(hasFocus)
        if (hasFocus) visible.countDown()
    }

    /** What another condition would give is not measured: the run ends, with an ending of its own. */
    override fun onStop() {
        super.onStop()
        session?.cancel(LEFT_FOREGROUND)
        visible.countDown()
    }

    private fun begin(folder: RunFolder) {
        takeStandardError(folder)
        val running = RunSession(folder, Sampler(folder, AndroidPlatform(this, AppState.ACTIVITY)), ::show)
        session = running
        thread(name = "run") {
            // Only a visible activity is a top app.
            visible.await()
            running.run()
            runOnUiThread { finished(folder) }
        }
    }

    private fun show(line: ByteArray) {
        if (!steps.take(line.decodeToString())) return
        val repetitions = steps.repetitions
        runOnUiThread { findViewById<StepsView>(R.id.steps).show(repetitions) }
    }

    private fun finished(folder: RunFolder) {
        findViewById<TextView>(R.id.state).text = getString(R.string.ended, folder.ending.orEmpty().trim())
        if (intent.getBooleanExtra(BY_HAND, false)) {
            startActivity(Intent(this, ResultActivity::class.java).putExtra(RUN_ID, folder.id))
        }
        finish()
    }

    override fun onDestroy() {
        super.onDestroy()
        // The next run is a fresh process. Where nothing ran here, a run of RunService's may share this one.
        if (isFinishing && session != null) Process.killProcess(Process.myPid())
    }

    companion object {
        const val BY_HAND = "by_hand"
    }
}
