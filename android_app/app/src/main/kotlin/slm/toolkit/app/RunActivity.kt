package slm.toolkit.app

import android.app.Activity
import android.content.Intent
import android.os.Bundle
import android.os.Process
import android.view.WindowManager
import android.widget.Button
import android.widget.TextView
import android.widget.Toast
import java.util.concurrent.CountDownLatch
import java.util.concurrent.TimeUnit
import kotlin.concurrent.thread
import kotlin.system.exitProcess
import slm.toolkit.core.AppState
import slm.toolkit.core.Ending
import slm.toolkit.core.LEFT_FOREGROUND
import slm.toolkit.core.LiveSteps
import slm.toolkit.core.NotReady
import slm.toolkit.core.RunFolder
import slm.toolkit.core.RunSession
import slm.toolkit.core.withdrawRun

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
        // Android makes activities anew when it likes to, with the same intent; the run goes on as it is.
        val under = slotOf(application).session?.takeIf { it.id == intent.getStringExtra(RUN_ID) }
        val running = under ?: beginRun(application, intent, AppState.ACTIVITY) { refuse(intent, it) }
        if (running == null) {
            finish()
            return
        }
        session = running
        running.show = ::show
        running.waits = ::showWaiting
        running.ended = { unwritten -> ended(unwritten) }
        when {
            under == null -> thread(name = "run") {
                // Only a visible activity is a top app; one that does not come in front is none.
                if (!visible.await(LONGEST_START_S, TimeUnit.SECONDS)) running.cancel(LEFT_FOREGROUND)
                running.run()
            }
            folder(running).ending != null -> finished(running)
        }
    }

    /** Another run is asked for while this one is here, which goes on as it was. */
    override fun onNewIntent(asked: Intent) {
        super.onNewIntent(asked)
        val running = session ?: return
        if (asked.getStringExtra(RUN_ID) != running.id) beginRun(application, asked, AppState.ACTIVITY) { refuse(asked, it) }
    }

    /** Whoever asked by hand is told, and what was prepared for it is gone again. */
    private fun refuse(asked: Intent, why: String) {
        if (!asked.getBooleanExtra(BY_HAND, false)) return
        withdrawRun(runsOf(this), asked.getStringExtra(RUN_ID))
        Toast.makeText(this, getString(R.string.not_begun, why), Toast.LENGTH_LONG).show()
    }

    override fun onWindowFocusChanged(hasFocus: Boolean) {
        super.onWindowFocusChanged(hasFocus)
        if (hasFocus) visible.countDown()
    }

    /** What another condition would give is not measured: the run ends, with an ending of its own. */
    override fun onStop() {
        super.onStop()
        if (!isChangingConfigurations) session?.cancel(LEFT_FOREGROUND)
        visible.countDown()
    }

    private fun show(line: ByteArray) {
        if (!steps.take(line.decodeToString())) return
        val repetitions = steps.repetitions
        runOnUiThread { findViewById<StepsView>(R.id.steps).show(repetitions) }
    }

    private fun showWaiting(unmet: List<NotReady>) {
        val words = if (unmet.isEmpty()) getString(R.string.running) else getString(R.string.waiting, notReadyWords(this, unmet.first()))
        runOnUiThread { findViewById<TextView>(R.id.state).text = words }
    }

    private fun ended(unwritten: Ending?) {
        if (unwritten != null) exitProcess(unwritten.code)
        runOnUiThread { session?.let(::finished) }
    }

    private fun finished(session: RunSession) {
        // Nobody would end a process whose activity Android has taken away.
        if (isDestroyed) Process.killProcess(Process.myPid())
        findViewById<TextView>(R.id.state).text = stateWords(this, folder(session).ending.orEmpty())
        if (intent.getBooleanExtra(BY_HAND, false)) {
            startActivity(Intent(this, ResultActivity::class.java).putExtra(RUN_ID, session.id))
        }
        finish()
    }

    private fun folder(session: RunSession) = RunFolder.of(runsOf(this), session.id)

    override fun onDestroy() {
        super.onDestroy()
        // The next run is a fresh process. Where nothing ran here, a run of RunService's may share this one.
        if (isFinishing && session != null) Process.killProcess(Process.myPid())
    }

    private companion object {
        const val LONGEST_START_S = 30L
    }
}
