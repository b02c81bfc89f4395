package slm.toolkit.app

import android.app.Activity
import android.os.Bundle
import android.os.Process
import android.view.View
import android.view.WindowManager
import android.widget.Button
import android.widget.TextView
import java.io.File
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

    override fun onCreate(saved: Bundle?) {
        super.onCreate(saved)
        window.addFlags(WindowManager.LayoutParams.FLAG_KEEP_SCREEN_ON)
        setContentView(R.layout.chat)
        transcript = findViewById(R.id.transcript)
        findViewById<Button>(R.id.send).setOnClickListener { send() }
        findViewById<Button>(R.id.stop).setOnClickListener { session?.stop() }
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
                    runOnUiThread { transcript.text = text }
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

    private fun show(line: String) {
        transcript.text = listOf(transcript.text.toString(), line).filter { it.isNotEmpty() }.joinToString("\n\n")
    }

    private fun answering(yes: Boolean) {
        findViewById<Button>(R.id.send).isEnabled = !yes && session != null
        findViewById<View>(R.id.stop).isEnabled = yes
    }

    override fun onDestroy() {
        super.onDestroy()
        if (isFinishing) Process.killProcess(Process.myPid())
    }

    companion object {
        const val ARTIFACT = "artifact"
        private const val MAXIMUM_TOKENS = 1024
    }
}
