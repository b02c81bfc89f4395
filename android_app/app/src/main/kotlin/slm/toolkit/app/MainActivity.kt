package slm.toolkit.app

import android.app.Activity
import android.app.AlertDialog
import android.content.Intent
import android.os.Bundle
import android.view.View
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.ListView
import android.widget.TextView
import slm.toolkit.core.Preset
import slm.toolkit.core.PushedArtifact
import slm.toolkit.core.RunFolder
import slm.toolkit.core.prepareRun
import slm.toolkit.core.pushedArtifacts

/** The runs on this phone, and the way to a new one. */
class MainActivity : Activity() {
    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.main)
        findViewById<Button>(R.id.measure).setOnClickListener { chooseArtifact() }
    }

    override fun onResume() {
        super.onResume()
        val runs = RunFolder.all(runsOf(this)).sortedByDescending { it.path.lastModified() }
        findViewById<TextView>(R.id.no_runs).visibility = if (runs.isEmpty()) View.VISIBLE else View.GONE
        val list = findViewById<ListView>(R.id.runs)
        list.adapter = ArrayAdapter(this, android.R.layout.simple_list_item_1, runs.map { lineOf(this, it) })
        list.setOnItemClickListener { _, _, index, _ ->
            startActivity(Intent(this, ResultActivity::class.java).putExtra(RunActivity.RUN_ID, runs[index].id))
        }
    }

    private fun chooseArtifact() {
        val artifacts = pushedArtifacts(PUSHED)
        if (artifacts.isNullOrEmpty()) {
            val why = if (artifacts == null) R.string.artifacts_unreadable else R.string.no_artifacts
            AlertDialog.Builder(this).setMessage(why).show()
            return
        }
        AlertDialog.Builder(this)
            .setTitle(R.string.choose_artifact)
            .setItems(artifacts.map { it.name }.toTypedArray()) { _, index -> chooseWork(artifacts[index]) }
            .show()
    }

    private fun chooseWork(artifact: PushedArtifact) {
        val presets = mapOf(
            Preset.SHORT to getString(R.string.preset_short),
            Preset.STANDARD to getString(R.string.preset_standard),
        )
        AlertDialog.Builder(this)
            .setTitle(R.string.choose_work)
            .setItems(presets.values.toTypedArray()) { _, index ->
                val folder = prepareRun(runsOf(this), artifact, presets.keys.toList()[index])
                val run = Intent(this, RunActivity::class.java)
                startActivity(run.putExtra(RunActivity.RUN_ID, folder.id).putExtra(RunActivity.BY_HAND, true))
            }
            .show()
    }
}
