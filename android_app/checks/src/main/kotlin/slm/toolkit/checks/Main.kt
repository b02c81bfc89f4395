// The app's core on a desktop's JVM, for tests: what stands in for Android is here and nowhere else.
package slm.toolkit.checks

import java.io.File
import java.io.IOException
import java.time.LocalDate
import kotlin.concurrent.thread
import kotlin.system.exitProcess
import slm.toolkit.core.AppState
import slm.toolkit.core.Arguments
import slm.toolkit.core.CONTRACT
import slm.toolkit.core.ChatError
import slm.toolkit.core.ChatFormat
import slm.toolkit.core.ChatRun
import slm.toolkit.core.ChatSession
import slm.toolkit.core.ContractError
import slm.toolkit.core.Door
import slm.toolkit.core.HandGate
import slm.toolkit.core.ImportError
import slm.toolkit.core.LEFT_FOREGROUND
import slm.toolkit.core.NativeRunner
import slm.toolkit.core.PastRun
import slm.toolkit.core.PickedFolder
import slm.toolkit.core.Platform
import slm.toolkit.core.Preset
import slm.toolkit.core.ProcessEnd
import slm.toolkit.core.ResultError
import slm.toolkit.core.RunFolder
import slm.toolkit.core.RunOutput
import slm.toolkit.core.RunSession
import slm.toolkit.core.RunSlot
import slm.toolkit.core.RunnerEnded
import slm.toolkit.core.Sampler
import slm.toolkit.core.compared
import slm.toolkit.core.endingOf
import slm.toolkit.core.enginesIn
import slm.toolkit.core.figuresOf
import slm.toolkit.core.importArtifact
import slm.toolkit.core.json
import slm.toolkit.core.parseJson
import slm.toolkit.core.pastRun
import slm.toolkit.core.prepareRun
import slm.toolkit.core.pushedArtifact
import slm.toolkit.core.pushedArtifacts
import slm.toolkit.core.sha256
import slm.toolkit.core.sharedRun
import slm.toolkit.core.withdrawRun

fun main(words: Array<String>) {
    val rest = words.drop(1)
    when (words.firstOrNull()) {
        "run" -> exitProcess(runAll(rest))
        "emulated" -> emulated(rest)
        "figures" -> rest.forEach { println(json(figures(File(it)))) }
        "arguments" -> rest.forEach { println(json(arguments(File(it)))) }
        "starts" -> RunSlot(File(rest[0])).let { slot -> rest.drop(1).forEach { println(json(start(slot, it))) } }
        "engines" -> rest.forEach { println(json(enginesIn(listOf(File(it))).map { engine -> engine.word })) }
        "files" -> rest.forEach { println(json(file(it))) }
        "chart" -> drawChart(File(rest[0]), File(rest[1]), rest[2].toInt(), rest[3].toInt())
        "byhand" -> println(runByHand(File(rest[0]), File(rest[1]), rest.drop(2)))
        "prepare" -> println(json(prepared(File(rest[0]), File(rest[1]))))
        "withdraw" -> rest.drop(1).forEach { withdrawRun(File(rest[0]), it) }
        "history" -> println(json(pastRuns(File(rest[0])).map(::described)))
        "compare" -> println(json(comparison(File(rest[0]), rest[1], rest[2])))
        "import" -> println(json(imported(File(rest[0]), File(rest[1]))))
        "chat" -> exitProcess(chat(rest))
        "dialogue" -> println(dialogue(File(rest[0]), rest.drop(1)))
        "conversations" -> rest.forEach { println(json(conversation(File(it)))) }
        "endings" -> rest.forEach { println(json(ending(it))) }
        else -> error("what to check?")
    }
}

/** Runs files of arguments one after the other in this process; FILE:N cancels that run after N lines. */
private fun runAll(files: List<String>): Int {
    var code = 2
    for (file in files) {
        val (path, lines) = file.split(':').let { it[0] to it.getOrNull(1)?.toInt() }
        val here = File(path).absoluteFile.parentFile
        val arguments = try {
            Arguments.parse(File(path).readBytes(), here)
        } catch (refused: ContractError) {
            System.err.println("refused: ${refused.message}")
            continue
        }
        // As in the app, a run has a thread of its own.
        thread { code = runOne(arguments, lines) }.join()
        System.err.println("exit $code")
    }
    return code
}

/** A desktop in place of a phone, which answers what it does not know as Android does. */
private object DesktopPlatform : Platform {
    override fun readings() = mapOf(
        "app_state" to AppState.ACTIVITY.word, "battery_percent" to Int.MIN_VALUE, "thermal_headroom" to Float.NaN,
        "thermal_status" to null, "pss_bytes" to Long.MIN_VALUE, "importance" to 100, "charging" to false,
    )
}

private fun runOne(arguments: Arguments, cancelAfter: Int?): Int =
    NativeRunner(arguments.engine.library).use { runner ->
        var lines = 0
        runner.run(
            arguments.texts,
            object : RunOutput {
                override fun out(line: ByteArray) {
                    System.out.write(line)
                    System.out.flush()
                    if (++lines == cancelAfter) thread { runner.cancel() }.join()
                }

                override fun error(line: ByteArray) = System.err.write(line)
            },
        )
    }

private fun figures(result: File): Map<String, Any?> = try {
    val figures = figuresOf(result.readText(), "r1")
    mapOf(
        "prefill_tokens_per_second" to figures.prefillTokensPerSecond,
        "prefill_stdev" to figures.prefillStdev,
        "decode_tokens_per_second" to figures.decodeTokensPerSecond,
        "decode_stdev" to figures.decodeStdev,
        "ttft_ns" to figures.ttftNs,
        "load_ns" to figures.loadNs,
        "peak_bytes" to figures.peakBytes,
    )
} catch (refused: ResultError) {
    mapOf("refused" to refused.message)
}

private fun arguments(file: File): Map<String, Any?> = try {
    val arguments = Arguments.parse(file.readBytes(), File("/app/runs/0"))
    mapOf("engine" to arguments.engine.word, "texts" to arguments.texts.map { it.decodeToString() })
} catch (refused: ContractError) {
    mapOf("refused" to refused.message)
}

/** `r` or `w` and a path as a content URI has it. */
private fun file(asked: String): Map<String, Any?> = try {
    val parts = asked.drop(1).split('/')
    mapOf("file" to RunFolder.fileFor(File("/runs"), parts, asked.startsWith('w')).path)
} catch (refused: ContractError) {
    mapOf("refused" to refused.message)
}

/** A run that an intent asks for, in a process that may have one already. */
private fun start(slot: RunSlot, id: String): Map<String, Any?> = try {
    slot.begin(id) { RunSession(it, Sampler(it, DesktopPlatform)) }
    mapOf("begun" to slot.session!!.id)
} catch (refused: ContractError) {
    mapOf("refused" to refused.message)
}

/** A desktop that says other things at first, one after the other: lines of NAME=NUMBER and NAME=true. */
private class ChangingPlatform(said: List<String>) : Platform {
    private val said = ArrayDeque(said)

    override fun readings(): Map<String, Any?> {
        // The last stays.
        val now = if (said.size > 1) said.removeFirst() else said.firstOrNull().orEmpty()
        val changed = now.split(' ').filter { '=' in it }.associate { word ->
            val (name, value) = word.split('=')
            name to (value.toIntOrNull() ?: value.toFloatOrNull() ?: value.toBooleanStrictOrNull())
        }
        return DesktopPlatform.readings() + changed
    }
}

/**
 * Measures the first artifact of a folder, as a person would, on a phone that says [said]; the file that the app would
 * share, or the folder of a run that did not come to an end.
 */
private fun runByHand(artifacts: File, runs: File, said: List<String>): String {
    val folder = prepareRun(runs, pushedArtifacts(artifacts)!!.first(), Preset.SHORT)
    val platform = ChangingPlatform(said)
    val gate = HandGate(platform, limitMs = 400, pollMs = 20)
    val session = RunSlot(runs).begin(folder.id) { RunSession(it, Sampler(it, platform), gate) }
    // Whoever goes away in the very moment in which it ends has a whole run.
    session.show = { if ("\"record\":\"end\"" in it.decodeToString()) session.cancel(LEFT_FOREGROUND) }
    Thread(session::run).apply { start() }.join()
    session.cancel(LEFT_FOREGROUND)
    if (folder.ending != "0 ok") return "${folder.path}"
    val device = mapOf(
        "serial" to "app-0123456789abcdef", "manufacturer" to "Maker", "model" to "Phone", "soc" to null,
        "abi" to "x86_64", "os_version" to "Android 14", "api_level" to 34, "build" to "made/up", "cpu_cores" to 2,
        "ram_bytes" to 4_000_000_000L, "emulated" to true,
    )
    val app = mapOf("version" to "0.1.0", "contract" to CONTRACT, "sha256" to sha256(folder.file(RunFolder.ARGUMENTS)))
    return "${sharedRun(folder, device, app)}"
}

/** The run that a person asks for, not begun yet. */
private fun prepared(artifacts: File, runs: File): Map<String, Any?> = try {
    mapOf("run" to prepareRun(runs, pushedArtifacts(artifacts)!!.first(), Preset.SHORT).id)
} catch (failed: IOException) {
    mapOf("refused" to failed.message)
}

/** All runs of a virtual phone, whose app has its files in [data]. */
private fun pastRuns(data: File): List<PastRun> {
    val runs = File(data, "runs")
    val door = Door(runs, EmulatedProcesses(data)) { emptySet() }
    return RunFolder.all(runs).map { pastRun(it, door.state(it.id)) }
}

private fun described(run: PastRun): Map<String, Any?> = mapOf(
    "id" to run.id, "state" to run.state, "model" to run.model, "started_ms" to run.startedMs,
    "app_state" to run.appState, "threads" to run.figures?.start?.get("threads"),
    "decode" to run.figures?.decodeTokensPerSecond, "problem" to run.problem,
    "battery" to run.batteryPercent.let { listOf(it.first, it.last) },
    "thermal" to run.thermalStatus.let { listOf(it.first, it.last) },
)

private fun comparison(data: File, run: String, baseline: String): Map<String, Any?> {
    val runs = pastRuns(data).associateBy { it.id }
    return compared(runs.getValue(run), runs.getValue(baseline)).let { mapOf("ratio" to it.ratio, "difference" to it.difference?.name) }
}

/** Imports a folder of this machine as the app does one that the system's picker gives. */
private fun imported(folder: File, artifacts: File): Map<String, Any?> = try {
    val picked = object : PickedFolder {
        override fun open(name: String) = File(folder, name).inputStream()
    }
    importArtifact(picked, artifacts).let { mapOf("name" to it.name, "folder" to it.folder.name) }
} catch (refused: ImportError) {
    mapOf("refused" to refused.message)
}

/** REASON:STATUS as Android gives them, or `none`. */
private fun ending(asked: String): Map<String, Any?> {
    val end = asked.split(':').takeIf { it.size == 2 }?.let { ProcessEnd(it[0].toInt(), it[1].toInt()) }
    return endingOf(end).let { mapOf("code" to it.code, "why" to it.why) }
}

/** Arguments of the mode chat, its records to stdout. */
private fun chat(words: List<String>): Int = try {
    ChatRun(words) {
        System.out.write(it)
        System.out.flush()
    }.run()
    0
} catch (refused: ChatError) {
    System.err.println(refused.message)
    2
} catch (ended: RunnerEnded) {
    System.err.println(ended.message)
    ended.code
}

/** Messages and `/system TEXT` one after the other, as on the screen; what would be saved of it. */
private fun dialogue(artifact: File, said: List<String>): String =
    ChatSession(pushedArtifact(artifact)!!, "r1").use { session ->
        for (line in said) {
            if (line.startsWith("/system")) session.system = line.substringAfter(' ', "").ifEmpty { null } else session.ask(line, 6)
        }
        session.conversation()
    }

/** A file with a manifest's `chat`, `said`, `system` and `today`: the conversation's text. */
private fun conversation(file: File): Any? {
    val asked = parseJson(file.readText()) as Map<*, *>
    return try {
        val said = (asked["said"] as List<*>).map { it as String }
        val format = ChatFormat.of(asked["manifest"] as Map<*, *>)
        format.text(said, asked["system"] as String?, LocalDate.parse(asked["today"] as String))
    } catch (refused: ChatError) {
        mapOf("refused" to refused.message)
    }
}
