package slm.toolkit.app

import android.app.Activity
import android.content.Context
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.widget.Button
import android.widget.TextView
import android.widget.Toast
import java.io.IOException
import kotlin.concurrent.thread
import slm.toolkit.core.ContractError
import slm.toolkit.core.Difference
import slm.toolkit.core.Figures
import slm.toolkit.core.PastRun
import slm.toolkit.core.RunFolder
import slm.toolkit.core.compared
import slm.toolkit.core.pastRun
import slm.toolkit.core.sharedRun

/** One run's figures, its chart, the comparison with a baseline, and its records to share. */
class ResultActivity : Activity() {
    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.result)
        for (id in listOf(R.id.make_baseline, R.id.share)) findViewById<Button>(id).isEnabled = false
        val id = intent.getStringExtra(RUN_ID)
        thread(name = "result") {
            val run = runOf(id)
            val baseline = preferences().getString(BASELINE, null)?.takeIf { it != id }?.let(::runOf)
            runOnUiThread { if (run == null) finish() else show(run, baseline) }
        }
    }

    /** Null where there is no such run. Android may take a moment to say how a run ended. */
    private fun runOf(id: String?): PastRun? = try {
        RunFolder.of(runsOf(this), id).takeIf { it.path.isDirectory }?.let { pastRun(it, doorOf(this).state(id)) }
    } catch (_: ContractError) {
        null
    }

    private fun show(run: PastRun, baseline: PastRun?) {
        val text = findViewById<TextView>(R.id.figures)
        val head = getString(R.string.run_head, modelOf(this, run), conditionsOf(this, run))
        val figures = run.figures
        if (figures == null) {
            val why = if (run.state.startsWith("0 ")) run.problem else stateWords(this, run.state)
            text.text = getString(R.string.two_parts, head, getString(R.string.no_figures, why))
            return
        }
        val found = getString(R.string.two_parts, head, words(figures))
        text.text = baseline?.let { getString(R.string.two_parts, found, comparedWith(it, run)) } ?: found
        findViewById<StepsView>(R.id.steps).show(figures.decodeNs)
        val folder = RunFolder.of(runsOf(this), run.id)
        val makeBaseline = findViewById<Button>(R.id.make_baseline)
        makeBaseline.isEnabled = true
        makeBaseline.setOnClickListener { preferences().edit().putString(BASELINE, run.id).apply() }
        val share = findViewById<Button>(R.id.share)
        share.isEnabled = folder.file(RunFolder.MANIFEST).isFile
        share.setOnClickListener { share(folder) }
    }

    private fun words(figures: Figures): String = getString(
        R.string.figures,
        figures.prefillTokensPerSecond,
        figures.decodeTokensPerSecond?.let { getString(R.string.one_decimal, it) } ?: getString(R.string.unknown),
        figures.ttftNs / NS_PER_MS,
        figures.loadNs / NS_PER_MS,
        figures.peakBytes / BYTES_PER_MB,
        figures.start["engine"],
    )

    private fun comparedWith(baseline: PastRun, run: PastRun): String {
        val comparison = compared(run, baseline)
        val names = arrayOf(modelOf(this, run), modelOf(this, baseline))
        return when (comparison.difference) {
            Difference.WORK -> getString(R.string.baseline_differs, *names)
            Difference.APP_STATE -> getString(R.string.baseline_in_other_state, *names)
            Difference.NO_FIGURES -> getString(R.string.baseline_without_figures, *names)
            null -> getString(R.string.compared, *names, comparison.ratio)
        }
    }

    private fun share(folder: RunFolder) {
        val shared = try {
            sharedRun(folder, deviceFacts(this), appFacts(this)) ?: return
        } catch (failed: IOException) {
            Toast.makeText(this, getString(R.string.not_saved, failed.message), Toast.LENGTH_LONG).show()
            return
        }
        val uri = Uri.parse("content://${RunsProvider.AUTHORITY}/${folder.id}/${shared.name}")
        val send = Intent(Intent.ACTION_SEND).setType("application/jsonl").putExtra(Intent.EXTRA_STREAM, uri)
        send.addFlags(Intent.FLAG_GRANT_READ_URI_PERMISSION)
        startActivity(Intent.createChooser(send, getString(R.string.share)))
    }

    private fun preferences() = getSharedPreferences("results", Context.MODE_PRIVATE)

    private companion object {
        const val BASELINE = "baseline"
        const val NS_PER_MS = 1e6
        const val BYTES_PER_MB = 1e6
    }
}
