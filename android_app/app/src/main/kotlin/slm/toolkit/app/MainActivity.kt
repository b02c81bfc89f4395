package slm.toolkit.app

import android.app.Activity
import android.app.AlertDialog
import android.content.Intent
import android.net.Uri
import android.os.Bundle
import android.view.View
import android.widget.ArrayAdapter
import android.widget.Button
import android.widget.ListView
import android.widget.TextView
import java.io.IOException
import kotlin.concurrent.thread
import slm.toolkit.core.Engine
import slm.toolkit.core.ImportError
import slm.toolkit.core.OtherProvider
import slm.toolkit.core.PastRun
import slm.toolkit.core.Preset
import slm.toolkit.core.PushedArtifact
import slm.toolkit.core.RunnerEnded
import slm.toolkit.core.enginesIn
import slm.toolkit.core.factsOf
import slm.toolkit.core.importArtifact
import slm.toolkit.core.prepareRun
import slm.toolkit.core.pushedArtifacts

/** The runs on this phone, and the way to a new one. */
class MainActivity : Activity() {
    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        setContentView(R.layout.main)
        val list = findViewById<ListView>(R.id.runs)
        list.addHeaderView(layoutInflater.inflate(R.layout.main_header, list, false), null, false)
        findViewById<Button>(R.id.measure).setOnClickListener { chooseArtifact(::chooseWork) }
        findViewById<Button>(R.id.chat).setOnClickListener { chooseArtifact(::chat) }
        findViewById<Button>(R.id.engines).setOnClickListener { showEngines() }
        findViewById<Button>(R.id.import_artifact).setOnClickListener {
            startActivityForResult(Intent(Intent.ACTION_OPEN_DOCUMENT_TREE), PICK_FOLDER)
        }
    }

    override fun onResume() {
        super.onResume()
        thread(name = "runs") {
            val runs = pastRuns(this)
            runOnUiThread { show(runs) }
        }
    }

    private fun show(runs: List<PastRun>) {
        findViewById<TextView>(R.id.no_runs).visibility = if (runs.isEmpty()) View.VISIBLE else View.GONE
        val list = findViewById<ListView>(R.id.runs)
        list.adapter = ArrayAdapter(this, android.R.layout.simple_list_item_1, runs.map { linesOf(this, it) })
        list.setOnItemClickListener { _, _, index, _ ->
            val run = runs.getOrNull(index - list.headerViewsCount) ?: return@setOnItemClickListener
            startActivity(Intent(this, ResultActivity::class.java).putExtra(RUN_ID, run.id))
        }
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        super.onActivityResult(request, result, data)
        val tree = data?.data
        if (request != PICK_FOLDER || tree == null) return
        val button = findViewById<Button>(R.id.import_artifact)
        button.isEnabled = false
        thread(name = "import") {
            val said = importFrom(tree)
            runOnUiThread {
                button.isEnabled = true
                if (!isFinishing) AlertDialog.Builder(this).setMessage(said).show()
            }
        }
    }

    private fun importFrom(tree: Uri): String = try {
        getString(R.string.imported, importArtifact(TreeFolder(contentResolver, tree), importedOf(this)).name)
    } catch (refused: ImportError) {
        getString(R.string.not_imported, refused.message)
    } catch (failed: IOException) {
        getString(R.string.not_imported, failed.message)
    }

    private fun chooseArtifact(then: (PushedArtifact) -> Unit) {
        val pushed = pushedArtifacts(PUSHED)
        val artifacts = pushed.orEmpty() + pushedArtifacts(importedOf(this)).orEmpty()
        if (artifacts.isEmpty()) {
            val why = if (pushed == null) R.string.artifacts_unreadable else R.string.no_artifacts
            AlertDialog.Builder(this).setMessage(why).show()
            return
        }
        val here = enginesIn(packagesOf(this))
        val lines = artifacts.map { if (it.engine in here) it.name else getString(R.string.not_runnable, it.name, it.engine.word) }
        AlertDialog.Builder(this)
            .setTitle(R.string.choose_artifact)
            .setItems(lines.toTypedArray()) { _, index ->
                val chosen = artifacts[index]
                if (chosen.engine in here) then(chosen) else sayWhatIsMissing(chosen.engine)
            }
            .show()
    }

    private fun showEngines() {
        val here = enginesIn(packagesOf(this))
        val button = findViewById<Button>(R.id.engines)
        button.isEnabled = false
        // Loading a library takes a moment.
        thread(name = "engines") {
            val said = Engine.entries.joinToString("\n\n") {
                if (it in here) factsIn(it) else getString(R.string.no_engine, it.word, it.library)
            }
            runOnUiThread {
                button.isEnabled = true
                if (!isFinishing) AlertDialog.Builder(this).setMessage(said).show()
            }
        }
    }

    private fun factsIn(engine: Engine): String {
        val facts = try {
            factsOf(engine)
        } catch (refused: RunnerEnded) {
            return getString(R.string.engine_refuses, engine.word, refused.message)
        }
        val missing = OtherProvider.entries.filter { it.engine == engine && it.word !in facts.providers }
        val lines = missing.map { getString(R.string.no_provider, it.word, it.processor, it.library) }
        val first = getString(R.string.engine_facts, engine.word, facts.version, facts.providers.joinToString())
        return (listOf(first) + lines).joinToString("\n")
    }

    private fun sayWhatIsMissing(engine: Engine) {
        AlertDialog.Builder(this).setMessage(getString(R.string.no_engine, engine.word, engine.library)).show()
    }

    private fun chat(artifact: PushedArtifact) {
        startActivity(Intent(this, ChatActivity::class.java).putExtra(ChatActivity.ARTIFACT, artifact.folder.path))
    }

    private fun chooseWork(artifact: PushedArtifact) {
        val presets = mapOf(
            Preset.SHORT to getString(R.string.preset_short),
            Preset.STANDARD to getString(R.string.preset_standard),
        )
        AlertDialog.Builder(this)
            .setTitle(R.string.choose_work)
            .setItems(presets.values.toTypedArray()) { _, index ->
                measure(artifact, presets.keys.toList()[index])
            }
            .show()
    }

    private fun measure(artifact: PushedArtifact, preset: Preset) {
        val folder = try {
            prepareRun(runsOf(this), artifact, preset)
        } catch (failed: IOException) {
            AlertDialog.Builder(this).setMessage(getString(R.string.not_begun, failed.message)).show()
            return
        }
        val run = Intent(this, RunActivity::class.java)
        startActivity(run.putExtra(RUN_ID, folder.id).putExtra(BY_HAND, true))
    }

    private companion object {
        const val PICK_FOLDER = 1
    }
}
