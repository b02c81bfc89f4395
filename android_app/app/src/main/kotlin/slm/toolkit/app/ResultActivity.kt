package slm.toolkit.app

import android.app.Activity
import android.content.Context
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.widget.Button
import android.widget.TextView
import java.io.IOException
import slm.toolkit.core.ContractError
import slm.toolkit.core.Figures
import slm.toolkit.core.ResultError
import slm.toolkit.core.RunFolder
import slm.toolkit.core.comparable
import slm.toolkit.core.figuresOf
import slm.toolkit.core.sharedRun

/** One run's figures, its chart, the comparison with a baseline, and its records to share. */
class ResultActivity : Activity() {
    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.result)
        val folder = try {
            RunFolder.of(runsOf(this), intent.getStringExtra(RUN_ID))
        } catch (_: ContractError) {
            finish()
            return
        }
        val text = findViewById<TextView>(R.id.figures)
        val figures = figuresOrWhy(folder).getOrElse {
            text.text = getString(R.string.no_figures, it.message)
            null
        }
        val baseline = findViewById<Button>(R.id.make_baseline)
        val share = findViewById<Button>(R.id.share)
        baseline.isEnabled = figures != null
        share.isEnabled = figures != null && folder.file(RunFolder.MANIFEST).isFile
        if (figures == null) return
        text.text = listOfNotNull(words(figures), compared(folder, figures)).joinToString("\n\n")
        findViewById<StepsView>(R.id.steps).show(figures.decodeNs)
        baseline.setOnClickListener { preferences().edit().putString(BASELINE, folder.id).apply() }
        share.setOnClickListener { share(folder) }
    }

    private fun words(figures: Figures): String = getString(
        R.string.figures,
        "%.1f".format(figures.prefillTokensPerSecond),
        figures.decodeTokensPerSecond?.let { "%.1f".format(it) } ?: getString(R.string.unknown),
        "%.0f".format(figures.ttftNs / NS_PER_MS),
        "%.0f".format(figures.loadNs / NS_PER_MS),
        "%.0f".format(figures.peakBytes / BYTES_PER_MB),
        figures.start["engine"],
        figures.start["threads"],
    )

    private fun compared(folder: RunFolder, figures: Figures): String? {
        val id = preferences().getString(BASELINE, null) ?: return null
        if (id == folder.id) return null
        val other = figuresOrWhy(RunFolder.of(runsOf(this), id)).getOrNull() ?: return null
        if (!comparable(figures, other)) return getString(R.string.baseline_differs)
        val here = figures.decodeTokensPerSecond ?: return null
        return getString(R.string.compared, "%.2f".format(here / (other.decodeTokensPerSecond ?: return null)))
    }

    private fun share(folder: RunFolder) {
        val shared = sharedRun(folder, deviceFacts(this), appFacts(this)) ?: return
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

/** A run in one line of a list. */
fun lineOf(context: Context, folder: RunFolder): String {
    val decode = figuresOrWhy(folder).getOrNull()?.decodeTokensPerSecond
    val state = folder.ending ?: context.getString(R.string.unknown)
    return if (decode == null) "${folder.id}: $state" else "${folder.id}: %.1f tokens/s".format(decode)
}

private fun figuresOrWhy(folder: RunFolder): Result<Figures> = try {
    if (folder.ending?.startsWith("0 ") != true) throw ResultError(folder.ending ?: "no ending")
    Result.success(figuresOf(folder.file(RunFolder.RESULT).readText(), folder.id))
} catch (refused: ResultError) {
    Result.failure(refused)
} catch (unreadable: IOException) {
    Result.failure(unreadable)
}
