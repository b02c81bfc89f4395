package slm.toolkit.app

import android.app.Activity
import android.app.AlertDialog
import android.content.Intent
import android.os.Bundle
import android.os.Process
import android.view.View
import android.view.WindowManager
import android.widget.Button
import android.widget.EditText
import android.widget.ScrollView
import android.widget.TextView
import android.widget.Toast
import java.io.File
import java.io.FileNotFoundException
import java.io.IOException
import kotlin.concurrent.thread
import slm.toolkit.core.ChatError
import slm.toolkit.core.ChatSession
import slm.toolkit.core.RunnerEnded
import slm.toolkit.core.newId
import slm.toolkit.core.pushedArtifact

/** A conversation with a model, in a process of its own that ends with it, so that its memory is free again. */
class ChatActivity : Activity() {
    private var session: ChatSession? = null
    private lateinit var transcript: TextView
    // What is to be written once the file is named; gone with the process, as the conversation is.
    private var unsaved: String? = null

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        setContentView(R.layout.chat)
        transcript = findViewById(R.id.transcript)
        findViewById<Button>(R.id.send).setOnClickListener { send() }
        findViewById<Button>(R.id.stop).setOnClickListener { session?.stop() }
        findViewById<Button>(R.id.system).setOnClickListener { askForSystem() }
        findViewById<Button>(R.id.save).setOnClickListener { chooseFile() }
        val folder = intent.getStringExtra(ARTIFACT)
        val artifact = folder?.let { pushedArtifact(File(it)) }
        if (artifact == null) {
            finish()
            return
        }
        session = try {
            ChatSession(artifact, newId())
        } catch (refused: ChatError) {
            show(getString(R.string.no_chat, refused.message))
            null
        }
        answering(false)
    }

    private fun send() {
        val input = findViewById<TextView>(R.id.message)
        val said = input.text.toString().trim()
        val session = session
        if (said.isEmpty() || session == null) return
        input.text = ""
        show(getString(R.string.user_said, said))
        answering(true)
        thread(name = "ask") {
            val begun = transcript.text.toString() + getString(R.string.model_said)
            val answer = StringBuilder()
            val end = try {
                session.ask(said, MAXIMUM_TOKENS) { piece ->
                    val text = begun + answer.append(piece)
                    runOnUiThread { write(text) }
                }
                null
            } catch (refused: ChatError) {
                getString(R.string.no_chat, refused.message)
            } catch (ended: RunnerEnded) {
                getString(R.string.no_chat, ended.message)
            }
            runOnUiThread {
                if (end != null) show(end)
                answering(false)
            }
        }
    }

    private fun askForSystem() {
        val session = session ?: return
        val text = EditText(this)
        text.setText(session.system.orEmpty())
        AlertDialog.Builder(this)
            .setTitle(R.string.system_message)
            .setView(text)
            .setPositiveButton(R.string.set) { _, _ -> setSystem(session, text.text.toString().trim()) }
            .show()
    }

    private fun setSystem(session: ChatSession, text: String) {
        try {
            session.system = text.ifEmpty { null }
            show(if (text.isEmpty()) getString(R.string.system_none) else getString(R.string.system_set, text))
        } catch (refused: ChatError) {
            show(getString(R.string.no_chat, refused.message))
        }
    }

    /** The system's picker names the file, so that the app needs no permission for it. */
    private fun chooseFile() {
        unsaved = session?.conversation()
        val file = Intent(Intent.ACTION_CREATE_DOCUMENT).addCategory(Intent.CATEGORY_OPENABLE).setType("application/json")
        startActivityForResult(file.putExtra(Intent.EXTRA_TITLE, "conversation.json"), NAME_FILE)
    }

    override fun onActivityResult(request: Int, result: Int, data: Intent?) {
        super.onActivityResult(request, result, data)
        val file = data?.data
        if (request != NAME_FILE || file == null) return
        val said = try {
            val text = unsaved ?: throw IOException(getString(R.string.conversation_gone))
            val stream = contentResolver.openOutputStream(file) ?: throw FileNotFoundException("$file")
            stream.use { it.write(text.toByteArray()) }
            getString(R.string.saved)
        } catch (failed: IOException) {
            getString(R.string.not_saved, failed.message)
        }
        Toast.makeText(this, said, Toast.LENGTH_LONG).show()
    }

    private fun show(line: String) {
        write(listOf(transcript.text.toString(), line).filter { it.isNotEmpty() }.joinToString("\n\n"))
    }

    /** Keeps the end in sight, where the answer grows and the buttons are. */
    private fun write(text: String) {
        transcript.text = text
        val scroll = findViewById<ScrollView>(R.id.scroll)
        scroll.post { scroll.scrollTo(0, scroll.getChildAt(0).height) }
    }

    private fun answering(yes: Boolean) {
        findViewById<Button>(R.id.send).isEnabled = !yes && session != null
        findViewById<View>(R.id.stop).isEnabled = yes
        // A conversation stands still while it is changed or saved.
        for (id in listOf(R.id.system, R.id.save)) findViewById<View>(id).isEnabled = !yes && session != null
    }

    override fun onDestroy() {
        super.onDestroy()
        if (isFinishing) Process.killProcess(Process.myPid())
    }

    companion object {
        const val ARTIFACT = "artifact"
        private const val MAXIMUM_TOKENS = 1024
        private const val NAME_FILE = 1
    }
}
